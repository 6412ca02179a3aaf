//! Where an order stands in lists of orders, and what these show of it.
//!
//! **Invariants:** an order that has its number asks each of its lists for a place, once; a page is told
//! of each change of what it shows, once, and shows the order as it is as soon as that has arrived.

use cluster::entity::{Effect, Wire};
use serde::{Deserialize, Serialize};

use super::{Course, Event, Existing, Status};
use crate::domain::heap;
use crate::domain::ids::OrderId;
use crate::domain::order_list::{
    Command as ListCommand, ListId, Listed, OrderList, OrderPage, PageCommand, Place,
};
use crate::mutants::Mutant;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// What the lists were shown with the question for a place.
    asked: Status,
    places: Vec<(ListId, Place)>,
}

impl Listing {
    /// The shop's and the customer's.
    const LISTS_MAX: usize = 2;

    pub(super) fn asked(status: Status) -> Self {
        Self { asked: status, places: Vec::new() }
    }

    fn has_room(&self) -> bool {
        self.places.len() < Self::LISTS_MAX
    }

    pub(super) fn is_sound(&self) -> bool {
        self.places.len() <= Self::LISTS_MAX
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.places.capacity() * size_of::<(ListId, Place)>())
    }
}

impl Existing {
    pub(super) fn take_place(&mut self, list: ListId, place: Place) {
        if let Some(listing) = &mut self.listing {
            listing.places.push((list, place));
        }
    }

    /// Those that it belongs to: a book of the shop, and its customer's, if it is known who that is.
    fn lists(&self, me: OrderId) -> impl Iterator<Item = ListId> {
        let book = ListId::book_of(me.key().slot());
        let email = self.placed.terms.contact.email.as_ref();
        std::iter::once(book).chain(email.map(ListId::of_customer))
    }

    fn listed(&self, me: OrderId) -> Option<Listed> {
        let (number, status) = (self.number?, self.status());
        let (total, placed_at) = (self.totals.grand, self.placed.at);
        Some(Listed { order: me, number, status, total, placed_at })
    }
}

impl Course {
    pub(super) fn take_place(&mut self, list: ListId, place: Place) {
        let Some(order) = self.order() else { return };
        let Some(listing) = &order.listing else { return };
        if listing.places.iter().any(|(known, _)| *known == list) || !listing.has_room() {
            return;
        }
        let news = order.listed(self.me).filter(|entry| entry.status != listing.asked);
        self.happen(Event::PlaceTaken { list, place, at: self.now });
        if let Some(entry) = news {
            self.tell_page(list, place, entry);
        }
    }

    /// After everything else that happens. An order from before there were lists asks for its places
    /// when something happens to it.
    pub(super) fn tell_lists(&mut self) {
        let Some(order) = self.order().filter(|_| self.has_happened()) else { return };
        let Some(entry) = order.listed(self.me) else { return };
        let Some(listing) = &order.listing else {
            let lists: Vec<_> = order.lists(self.me).collect();
            self.happen(Event::PlacesAsked { status: entry.status, at: self.now });
            for list in lists {
                let command = ListCommand::Add { entry: entry.clone() }.to_bytes();
                self.does(Effect::Tell { to: OrderList::address(list), command });
            }
            return;
        };
        if self.before == Some(entry.status) || Mutant::ListNotTold.is_planted() {
            return;
        }
        for (list, place) in listing.places.clone() {
            self.tell_page(list, place, entry.clone());
        }
    }

    fn tell_page(&mut self, list: ListId, place: Place, entry: Listed) {
        let command = PageCommand::Put { place, entry }.to_bytes();
        self.does(Effect::Tell { to: OrderPage::address(list, place.page()), command });
    }
}
