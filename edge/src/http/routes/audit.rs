//! What operators did, newest first, and what the chains of it come to.

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

use self::document::{ActJson, HeadJson, HeadsJson};
use super::lengths::{AFTER, Cursor, Sort};
use super::merging::{List, Merged, Reading};
use crate::http::app::App;
use crate::http::at_once::all_at_once;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, ReadTerms};
use crate::http::fields::Faults;
use crate::http::query::Values;
use crate::http::render::inventory::ListJson;
use crate::http::reply::Reply;

pub(in crate::http) mod document;

/// What is merged here.
struct Acts;

impl Sort for Acts {
    const PREFIX: &'static str = "act_";
    const LISTS_MAX: usize = ShardMap::SHARDS_MAX as usize + 2;
}

impl Merged for Acts {
    type Id = ChainId;
    type Entry = Link;
    type Age = (Timestamp, ChainId);
    const PAGE: u64 = AuditPage::<InShard>::LINKS_MAX;

    fn age(chain: ChainId, link: &Link) -> (Timestamp, ChainId) {
        (link.act.at, chain)
    }

    async fn page(
        fabric: Fabric,
        chain: ChainId,
        page: u32,
        at_least: Vec<Position>,
        deadline: Timestamp,
    ) -> Result<Vec<Link>, QueryError> {
        links_of(&fabric, chain, page, &at_least, deadline).await
    }

    fn missing(_: u32) -> ApiError {
        let detail = "a part of the audit is on its way; it is there in a moment";
        ApiError::new(Code::HISTORY_UNREACHABLE, detail)
    }
}

/// `GET /admin/v1/audit`
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let wanted = Wanted::of(&uri)?;
    let whole = |(id, View { n_links, head: _, tail }): (ChainId, View)| {
        let first = n_links.saturating_sub(tail.len() as u64);
        List { id, n_left: n_links, first, entries: tail }
    };
    let chains = chains(&app, &terms, Query::Tail).await?.into_iter().map(whole).collect();
    let mut reading = Reading::<Acts>::begin(&app, &terms, chains, wanted.after.as_ref())?;
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

/// What every chain says of itself, in order.
async fn chains(
    app: &App,
    terms: &ReadTerms,
    query: Query,
) -> Result<Vec<(ChainId, View)>, ApiError> {
    let view = |id| {
        let (fabric, query) = (app.fabric.clone(), query.clone());
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        async move { Ok((id, view_of(&fabric, id, &at_least, deadline, query).await?)) }
    };
    let views = all_at_once(ChainId::all(app.fabric.shard_map()), view).await?;
    views.into_iter().map(|view: Result<_, QueryError>| Ok(view?)).collect()
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
