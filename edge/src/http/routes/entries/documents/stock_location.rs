//! A stock location in JSON.

use actors::domain::names::LocationId;
use actors::{PriceBook, StockLocation};
use cluster::ids::EntityKey;

use crate::http::fields::{Faults, Members, flaw, integer, made, parsed};
use crate::http::routes::entries::Resource;
use crate::http::schema::{Schema, object, optional, required, words};

#[derive(serde::Serialize)]
pub(in crate::http) struct StockLocationJson<'a> {
    id: &'a str,
    name: &'a str,
    priority: u32,
}

impl Resource for StockLocation {
    type Id = LocationId;
    type Json<'a> = StockLocationJson<'a>;
    const PATH: &'static str = "/admin/v1/stock_locations";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn key_of(id: &LocationId) -> EntityKey {
        id.key()
    }

    fn json(&self) -> StockLocationJson<'_> {
        let (id, name) = (self.id.as_str(), self.name.as_str());
        StockLocationJson { id, name, priority: self.priority }
    }

    fn body() -> Schema {
        let priority = crate::http::schema::integer(0, i64::from(u32::MAX), 10);
        object([
            required("id", words::handle("berlin")),
            required("name", words::line("Berlin")),
            optional("priority", priority).about("What is sold leaves the lowest first."),
        ])
    }

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let id = members.required("id", faults, parsed);
        let name = members.required("name", faults, made);
        let priority = members.optional("priority", faults, |json| {
            let number = integer(json, 0, i64::from(u32::MAX))?;
            u32::try_from(number).map_err(|error| flaw("out_of_range", error.to_string()))
        });
        Some(Self { id: id?, name: name?, priority: priority?.unwrap_or(0) })
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        book.stock_locations().map(|location| (**location).clone())
    }
}
