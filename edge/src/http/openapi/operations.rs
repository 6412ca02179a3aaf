//! Every operation of the API, in the order of the document.

mod carts;
mod catalogue;
mod history;
mod imports;
mod inventory;
mod orders;
mod payments;
mod store;
mod system;

use super::operation::Operation;

pub(super) fn all() -> Vec<Operation> {
    let mut all = Vec::from(store::all());
    all.extend(carts::all());
    all.extend(orders::all());
    all.extend(catalogue::all());
    all.extend(imports::all());
    all.extend(inventory::all());
    all.extend(payments::all());
    all.extend(history::all());
    all.extend(system::all());
    all
}
