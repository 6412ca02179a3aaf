//! Where something goes, as it is sent.

use actors::domain::contact::Address;
use actors::domain::names::Label;

use super::documents::words;
use crate::http::fields::{Faults, Members, parsed};
use crate::http::schema::words::{country, line, region};
use crate::http::schema::{Schema, object, optional, required};

pub(super) fn address_schema() -> Schema {
    object([
        required("name", line("A Shopper")),
        required("line1", line("Street 1")),
        optional("line2", line("Second floor")),
        required("city", line("Town")),
        optional("region", region()),
        optional("postal_code", line("12345")),
        required("country", country()),
    ])
}

pub(super) fn address(members: &mut Members<'_>, faults: &mut Faults) -> Option<Address> {
    let name = members.required("name", faults, words::<Label>);
    let line1 = members.required("line1", faults, words::<Label>);
    let line2 = members.optional("line2", faults, words::<Label>);
    let city = members.required("city", faults, words::<Label>);
    let region = members.optional("region", faults, parsed);
    let postal_code = members.optional("postal_code", faults, words::<Label>);
    let country = members.required("country", faults, parsed);
    Some(Address {
        name: name?,
        line1: line1?,
        line2: line2?,
        city: city?,
        region: region?,
        postal_code: postal_code?,
        country: country?,
    })
}
