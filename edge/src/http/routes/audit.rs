//! What operators did, newest first, and what the chains of it come to.
//!
//! **Invariants:** from cursor to cursor each act that was there when the first page was asked for is
//! shown once, whatever is done meanwhile; what one request reads is bounded, so that a page may hold
//! fewer acts than were asked for, though there are more.
//!
//! Every chain is in its own order: the newest of what is left in each are merged by the time.

use std::collections::BTreeMap;

use actors::PageLimit;
use actors::domain::audit::{
    AuditChain, AuditPage, ChainId, InCatalogue, InCluster, InShard, Keeping, Link, PageQuery,
    PageView, Query, View,
};
use actors::domain::names::Actor;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::fabric::{Fabric, QueryError};
use cluster::ids::Position;
use cluster::placement::shard_map::ShardMap;
use cluster::time::Timestamp;
use tokio::task::JoinSet;

use self::document::{ActJson, HeadJson, HeadsJson};
use super::lengths::{AFTER, Cursor, Sort, foreign_cursor};
use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, ReadTerms};
use crate::http::fields::Faults;
use crate::http::query::Values;
use crate::http::render::inventory::ListJson;
use crate::http::reply::Reply;

pub(in crate::http) mod document;

/// Pages of chains that one request reads.
const PAGES_READ_MAX: usize = 256;

/// What is merged here.
struct Acts;

impl Sort for Acts {
    const PREFIX: &'static str = "act_";
    const LISTS_MAX: usize = ShardMap::SHARDS_MAX as usize + 2;
}

/// `GET /admin/v1/audit`
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let wanted = Wanted::of(&uri)?;
    let mut reading = Reading::begin(&app, &terms, wanted.after.as_ref()).await?;
    let mut data = Vec::new();
    while data.len() < wanted.limit.get()
        && let Some((chain, place, link)) = reading.next().await?
    {
        let act = ActJson::new(chain.name(app.fabric.shard_map()), place, &link);
        data.extend(Some(act).filter(|act| wanted.includes(&link, act)));
    }
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, reading.rest()))
}

/// `GET /admin/v1/audit/heads`
pub(in crate::http) async fn list_heads(
    State(app): State<App>,
    _: Operator,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let shards = app.fabric.shard_map();
    let views = chains(&app, &terms, Query::Head).await?;
    let head = |(chain, view): (ChainId, View)| HeadJson::new(chain.name(shards), &view);
    let data = views.into_iter().map(head).collect();
    Reply::unplaced(StatusCode::OK, &HeadsJson { data })
}

/// Which acts are wanted.
struct Wanted {
    limit: PageLimit,
    after: Option<Cursor<Acts>>,
    actor: Option<Actor>,
    /// A kind, or a kind and an id.
    entity: Option<String>,
}

impl Wanted {
    fn of(uri: &Uri) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let values = Values::of(uri, &["after", "limit", "actor", "entity"], &mut faults);
        let limit = values.limit(&mut faults);
        let after = values.parsed("after", AFTER, &mut faults);
        let takes = "must be 1 to 64 of the characters A-Z a-z 0-9 . _ -";
        let actor = values.parsed("actor", takes, &mut faults);
        let takes = "must be a kind of entity, or a kind and an id with a slash between";
        let named = |text: &str| is_name(text).then(|| text.to_owned());
        let entity = values.read("entity", takes, named, &mut faults);
        faults.into_result(limit.map(|limit| Self { limit, after, actor, entity }))
    }

    fn includes(&self, link: &Link, act: &ActJson) -> bool {
        self.actor.as_ref().is_none_or(|actor| *actor == link.act.by.actor)
            && self.entity.as_ref().is_none_or(|entity| act.entity.is_called(entity))
    }
}

fn is_name(text: &str) -> bool {
    let (kind, id) = text.split_once('/').unwrap_or((text, "any"));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = |part: &str| (1..=64).contains(&part.len()) && part.bytes().all(is_plain);
    fits(kind) && fits(id)
}

/// Chains, each read from its newest link on.
struct Reading<'a> {
    app: &'a App,
    terms: &'a ReadTerms,
    chains: Vec<Chain>,
    n_pages_read: usize,
}

struct Chain {
    id: ChainId,
    /// So many links are not shown yet: the oldest ones.
    n_left: u64,
    /// What was read of them last, and the place of the first.
    first: u64,
    links: Vec<Link>,
}

impl Chain {
    /// The newest that is not shown yet, if it was read.
    fn newest(&self) -> Option<(u64, &Link)> {
        let place = self.n_left.checked_sub(1)?;
        let line = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.links.get(line).map(|link| (place, link))
    }

    fn wanted_page(&self) -> Option<u32> {
        let place = self.n_left.checked_sub(1).filter(|_| self.newest().is_none())?;
        u32::try_from(place / AuditPage::<InShard>::LINKS_MAX).ok()
    }
}

impl<'a> Reading<'a> {
    async fn begin(
        app: &'a App,
        terms: &'a ReadTerms,
        after: Option<&Cursor<Acts>>,
    ) -> Result<Self, ApiError> {
        let whole = |(id, View { n_links, head: _, tail })| {
            let first = n_links.saturating_sub(tail.len() as u64);
            Chain { id, n_left: n_links, first, links: tail }
        };
        let views = chains(app, terms, Query::Tail).await?;
        let mut chains: Vec<_> = views.into_iter().map(whole).collect();
        if let Some(cursor) = after {
            let left = cursor.lengths(chains.len()).ok_or_else(foreign_cursor)?;
            for (chain, left) in chains.iter_mut().zip(left) {
                chain.n_left = chain.n_left.min((*left).into());
            }
        }
        Ok(Self { app, terms, chains, n_pages_read: 0 })
    }

    /// The newest that is left, unless as much was read as may be.
    async fn next(&mut self) -> Result<Option<(ChainId, u64, Link)>, ApiError> {
        let wanted = self.chains.iter().filter_map(Chain::wanted_page).count();
        if self.n_pages_read + wanted > PAGES_READ_MAX.max(self.chains.len()) {
            return Ok(None);
        }
        if wanted > 0 {
            self.n_pages_read += wanted;
            self.read_pages().await?;
        }
        let at = |chain: &&mut Chain| chain.newest().map(|(_, link)| (link.act.at, chain.id));
        let Some(chain) = self.chains.iter_mut().max_by_key(at) else { return Ok(None) };
        let newest = chain.newest().map(|(place, link)| (chain.id, place, link.clone()));
        chain.n_left -= u64::from(newest.is_some());
        Ok(newest)
    }

    async fn read_pages(&mut self) -> Result<(), ApiError> {
        let mut under_way = JoinSet::new();
        for (nth, chain) in self.chains.iter().enumerate() {
            let Some(page) = chain.wanted_page() else { continue };
            let (fabric, id) = (self.app.fabric.clone(), chain.id);
            let (at_least, deadline) = (self.terms.at_least.clone(), self.terms.deadline);
            under_way.spawn(async move {
                (nth, page, links_of(&fabric, id, page, &at_least, deadline).await)
            });
        }
        while let Some(done) = under_way.join_next().await {
            let (nth, page, links) = done.map_err(|_| ApiError::internal())?;
            let Some(chain) = self.chains.get_mut(nth) else { continue };
            chain.first = u64::from(page) * AuditPage::<InShard>::LINKS_MAX;
            chain.links = links?;
            if chain.newest().is_none() {
                let detail = "a part of the audit is on its way; it is there in a moment";
                return Err(ApiError::new(Code::HISTORY_UNREACHABLE, detail));
            }
        }
        Ok(())
    }

    /// Where to go on, if there is anything left.
    fn rest(&self) -> Option<Cursor<Acts>> {
        let left = |chain: &Chain| u32::try_from(chain.n_left).unwrap_or(u32::MAX);
        Cursor::new(self.chains.iter().map(left).collect())
    }
}

/// What every chain says of itself, in order.
async fn chains(
    app: &App,
    terms: &ReadTerms,
    query: Query,
) -> Result<BTreeMap<ChainId, View>, ApiError> {
    let mut under_way = JoinSet::new();
    for id in ChainId::all(app.fabric.shard_map()) {
        let (fabric, query) = (app.fabric.clone(), query.clone());
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        under_way
            .spawn(async move { (id, view_of(&fabric, id, &at_least, deadline, query).await) });
    }
    let mut views = BTreeMap::new();
    while let Some(done) = under_way.join_next().await {
        let (id, view) = done.map_err(|_| ApiError::internal())?;
        views.insert(id, view?);
    }
    Ok(views)
}

async fn view_of(
    fabric: &Fabric,
    id: ChainId,
    at_least: &[Position],
    deadline: Timestamp,
    query: Query,
) -> Result<View, QueryError> {
    async fn ask<K: Keeping>(
        fabric: &Fabric,
        id: ChainId,
        at_least: &[Position],
        deadline: Timestamp,
        query: Query,
    ) -> Result<View, QueryError> {
        let key = id.chain_key();
        Ok(fabric.query::<AuditChain<K>>(key, at_least, deadline, query).await?.view)
    }
    match id {
        ChainId::Shard(_) => ask::<InShard>(fabric, id, at_least, deadline, query).await,
        ChainId::Catalogue => ask::<InCatalogue>(fabric, id, at_least, deadline, query).await,
        ChainId::Cluster => ask::<InCluster>(fabric, id, at_least, deadline, query).await,
    }
}

async fn links_of(
    fabric: &Fabric,
    id: ChainId,
    page: u32,
    at_least: &[Position],
    deadline: Timestamp,
) -> Result<Vec<Link>, QueryError> {
    async fn ask<K: Keeping>(
        fabric: &Fabric,
        id: ChainId,
        page: u32,
        at_least: &[Position],
        deadline: Timestamp,
    ) -> Result<Vec<Link>, QueryError> {
        let (key, query) = (id.page_key(page), PageQuery::Links);
        let viewed = fabric.query::<AuditPage<K>>(key, at_least, deadline, query).await?;
        let PageView(links) = viewed.view;
        Ok(links)
    }
    match id {
        ChainId::Shard(_) => ask::<InShard>(fabric, id, page, at_least, deadline).await,
        ChainId::Catalogue => ask::<InCatalogue>(fabric, id, page, at_least, deadline).await,
        ChainId::Cluster => ask::<InCluster>(fabric, id, page, at_least, deadline).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_a_kind_or_a_kind_and_an_id() {
        let wanted = |query: &str| Wanted::of(&format!("/audit{query}").parse().unwrap());
        for good in ["?entity=sku", "?entity=sku/tea", "?entity=sku%2Ftea&actor=operator&limit=3"] {
            assert!(wanted(good).is_ok(), "{good}");
        }
        for bad in ["?entity=", "?entity=a/", "?entity=/a", "?actor=a%20b", "?after=ol_1", "?q=1"] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
