//! All gift cards, newest first: the lists say which there are, and every card of a page what is on it.
//!
//! **Invariants:** from cursor to cursor each card that was there when the first page was asked for is
//! shown once; what one request asks is bounded, so that a page may hold fewer cards than were asked for,
//! though there are more.

use actors::domain::gift_card::{CardState, Lookup, Query, View};
use actors::domain::gift_card_list::{
    ListId, Listed, PageQuery, PageView, Query as ListQuery, View as ListView,
};
use actors::{GiftCard, GiftCardId, GiftCardList, GiftCardPage, PageLimit};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::fabric::{Fabric, QueryError, Viewed};
use cluster::ids::Position;
use cluster::time::Timestamp;

use super::super::lengths::{AFTER, Cursor, Sort};
use super::super::merging::{List, Merged, Reading};
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, ReadTerms};
use crate::http::fields::Faults;
use crate::http::query::Values;
use crate::http::render::gift_card::{CARD_STATES, ListedCardJson, card_state};
use crate::http::render::inventory::ListJson;
use crate::http::reply::Reply;

/// Cards that one request asks before it answers with what it found.
const CARDS_ASKED_MAX: usize = 512;
/// Asked at once where most may be of another state.
const CARDS_AT_ONCE: usize = 64;

/// What is merged here.
struct Cards;

impl Sort for Cards {
    const PREFIX: &'static str = "gl_";
    const LISTS_MAX: usize = ListId::LISTS as usize;
}

impl Merged for Cards {
    type Id = ListId;
    type Entry = Listed;
    type Age = (Timestamp, GiftCardId);
    const PAGE: u64 = GiftCardPage::ENTRIES_MAX as u64;

    fn age(_: ListId, listed: &Listed) -> (Timestamp, GiftCardId) {
        (listed.issued_at, listed.card)
    }

    async fn page(
        fabric: Fabric,
        list: ListId,
        page: u32,
        at_least: Vec<Position>,
        deadline: Timestamp,
    ) -> Result<Vec<Listed>, QueryError> {
        let (key, query) = (GiftCardPage::key(list, page), PageQuery::Entries);
        let viewed = fabric.query::<GiftCardPage>(key, &at_least, deadline, query).await?;
        let PageView(entries) = viewed.view;
        Ok(entries)
    }

    fn missing(page: u32) -> ApiError {
        tracing::error!(page, "a list of gift cards has fewer lines than gift cards");
        ApiError::internal()
    }
}

/// Which cards are wanted.
struct Wanted {
    state: Option<CardState>,
    limit: PageLimit,
    after: Option<Cursor<Cards>>,
}

impl Wanted {
    fn of(uri: &Uri) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let values = Values::of(uri, &["state", "limit", "after"], &mut faults);
        let known = |text: &str| CARD_STATES.into_iter().find(|known| card_state(*known) == text);
        let state = values.read("state", "must be a state of gift cards", known, &mut faults);
        let limit = values.limit(&mut faults);
        let after = values.parsed("after", AFTER, &mut faults);
        faults.into_result(limit.map(|limit| Self { state, limit, after }))
    }

    fn includes(&self, view: &View, at: Timestamp) -> bool {
        self.state.is_none_or(|wanted| view.state(at) == wanted)
    }

    /// So many are asked at once, of whom so many are still wanted.
    fn n_at_once(&self, n_wanted: usize) -> usize {
        if self.state.is_none() { n_wanted } else { CARDS_AT_ONCE }
    }
}

/// `GET /admin/v1/gift_cards`
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let (wanted, at) = (Wanted::of(&uri)?, now());
    let lists = lists(&app, &terms).await?;
    let mut reading = Reading::<Cards>::begin(&app, &terms, lists, wanted.after.as_ref())?;
    let mut rest = reading.rest();
    let (mut data, mut n_asked) = (Vec::new(), 0);
    while data.len() < wanted.limit.get() && n_asked < CARDS_ASKED_MAX {
        let n_missing = wanted.limit.get() - data.len();
        let cards = next(&mut reading, wanted.n_at_once(n_missing)).await?;
        if cards.is_empty() {
            break;
        }
        n_asked += cards.len();
        let asked = as_they_are(&app, &terms, &cards).await?;
        for ((card, after), view) in cards.into_iter().zip(asked) {
            if data.len() == wanted.limit.get() {
                break;
            }
            rest = after;
            let view = view?.filter(|view| wanted.includes(view, at));
            data.extend(view.map(|view| ListedCardJson::new(card, view, at)));
        }
    }
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, rest))
}

/// The next cards, each with where the list goes on after it.
async fn next(
    reading: &mut Reading<'_, Cards>,
    n_max: usize,
) -> Result<Vec<(GiftCardId, Option<Cursor<Cards>>)>, ApiError> {
    let mut cards = Vec::new();
    while cards.len() < n_max
        && let Some((_, _, listed)) = reading.next().await?
    {
        cards.push((listed.card, reading.rest()));
    }
    Ok(cards)
}

async fn as_they_are<R>(
    app: &App,
    terms: &ReadTerms,
    cards: &[(GiftCardId, R)],
) -> Result<Vec<Result<Option<View>, QueryError>>, ApiError> {
    let ask = |card: GiftCardId| {
        let fabric = app.fabric.clone();
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        async move { fabric.query::<GiftCard>(card.key(), &at_least, deadline, Query::Card).await }
    };
    let asked = all_at_once(cards.iter().map(|(card, _)| *card), ask).await?;
    let view = |viewed: Viewed<Lookup>| viewed.view.0;
    Ok(asked.into_iter().map(|viewed| viewed.map(view)).collect())
}

/// The lists, each with as many cards as it has, and none of them read.
async fn lists(app: &App, terms: &ReadTerms) -> Result<Vec<List<Cards>>, ApiError> {
    let length = |list| {
        let (fabric, key) = (app.fabric.clone(), GiftCardList::key(list));
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        async move { fabric.query::<GiftCardList>(key, &at_least, deadline, ListQuery::Length).await }
    };
    let lengths = all_at_once(ListId::all(), length).await?;
    let list = |(id, viewed): (_, Result<Viewed<ListView>, QueryError>)| {
        let n_left = viewed?.view.n_cards.into();
        Ok(List { id, n_left, first: 0, entries: Vec::new() })
    };
    ListId::all().zip(lengths).map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_asked_for_by_their_state_or_not() {
        let wanted = |query: &str| Wanted::of(&format!("/gift_cards{query}").parse().unwrap());
        let blocked = wanted("?state=blocked&limit=7").unwrap();
        assert_eq!((blocked.state, blocked.limit.get()), (Some(CardState::Blocked), 7));
        assert_eq!(wanted("").unwrap().n_at_once(5), 5);
        for bad in [
            "?state=",
            "?state=open",
            "?state=active&state=active",
            "?status=active",
            "?limit=0",
            "?limit=101",
            "?after=ol_5",
            "?after=gl_",
        ] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
