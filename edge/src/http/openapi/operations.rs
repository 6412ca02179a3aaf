//! Every operation of the API, in the order of the document.

mod carts;
mod catalogue;
mod gift_cards;
mod history;
mod imports;
mod inventory;
mod orders;
mod parcels;
mod payments;
mod reviews;
mod store;
mod system;

use super::operation::Operation;

pub(super) fn all() -> Vec<Operation> {
    let mut all = Vec::from(store::all());
    all.extend(carts::all());
    all.extend(orders::all());
    all.extend(parcels::all());
    all.extend(reviews::all());
    all.extend(catalogue::all());
    all.extend(imports::all());
    all.extend(inventory::all());
    all.extend(payments::all());
    all.extend(gift_cards::all());
    all.extend(history::all());
    all.extend(system::all());
    all
}
