//! Keeping the node's copy of the catalogue: following what the group's replica here applies, and
//! asking whether that is all there is.
//!
//! **Invariants:** the copy follows the replica without being asked for; one question of the node,
//! not of each request, confirms it; a copy without the entries that were committed when it was
//! asked about is never confirmed.

use std::sync::Arc;
use std::time::Duration;

use storage::clock;
use tokio::sync::oneshot;

use crate::catalogue::CatalogueReader;
use crate::entity::{Catalogue, Wire};
use crate::ids::ShardId;
use crate::placement::cluster::Query as ClusterQuery;
use crate::placement::cluster::cluster_ref;
use crate::runtime::asking::{ask, blocking, finished};
use crate::runtime::postponed::{Postponed, explained};
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::io::{Freshness, Query, Reply};
use crate::time::{Span, Timestamp};

/// Between two looks at a replica that is not ready to be read.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// After a change: many small ones are read together.
const GATHERING: Duration = Duration::from_millis(20);
/// After records that cannot be read.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(1);
/// Almost three times within the age at which a copy is of no more use.
const CONFIRM_EVERY: Duration = Duration::from_millis(700);
/// After a question without an answer.
const CONFIRM_AGAIN: Duration = Duration::from_millis(100);
const QUESTION_MAX: Span = Span::from_millis(600);

/// Follows the group's replica of this node.
pub(crate) async fn follow(services: Arc<Services>, reader: Arc<dyn CatalogueReader>) {
    let mut applied = services.shelf.applied();
    let mut to = 0;
    loop {
        applied.borrow_and_update();
        match read_on(&services, &reader, to).await {
            Ok(Some(read_to)) => {
                let is_news = read_to > to;
                to = read_to;
                if is_news {
                    tokio::time::sleep(GATHERING).await;
                }
                if applied.changed().await.is_err() {
                    return;
                }
            }
            Ok(None) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(Postponed::Stopping) => return,
            Err(error) => {
                tracing::error!(error = %explained(&error), "the catalogue cannot be read");
                tokio::time::sleep(UNREADABLE_PAUSE).await;
            }
        }
    }
}

/// Takes over what changed after an index; says how far that goes.
async fn read_on(
    services: &Services,
    reader: &Arc<dyn CatalogueReader>,
    after: u64,
) -> Result<Option<u64>, Postponed> {
    let actor = services.shards.get(ShardId::CATALOGUE).ok_or(Postponed::Stopping)?;
    let (reply, changes) = oneshot::channel();
    ask(actor, ShardMessage::ChangesAfter { index: after, reply })?;
    let Some(changes) = finished(changes).await? else { return Ok(None) };
    let before = services.shelf.newest();
    let to = changes.to;
    if changes.records.is_empty() && before.is_some() {
        services.shelf.put(None, to);
        return Ok(Some(to));
    }
    let (reader, index) = (Arc::clone(reader), changes.newest);
    let read = move || reader.read(before.as_ref(), &changes.records);
    let content = blocking(read).await??;
    tracing::debug!(catalogue.index = index, "the catalogue changed");
    services.shelf.put(Some(Catalogue { index, content }), to);
    Ok(Some(to))
}

/// Asks again and again whether the copy has everything.
pub(crate) async fn confirm(services: Arc<Services>) {
    while !services.shards.is_stopping() {
        let asked = services.shelf.now();
        let confirmed = async {
            let index = committed(&services).await?;
            services.shelf.at_least(index).await?;
            Some(())
        };
        let patience = Duration::from_micros(QUESTION_MAX.as_micros());
        match tokio::time::timeout(patience, confirmed).await {
            Ok(Some(())) => {
                services.shelf.confirm(asked);
                tokio::time::sleep(CONFIRM_EVERY).await;
            }
            Ok(None) | Err(_) => tokio::time::sleep(CONFIRM_AGAIN).await,
        }
    }
}

/// An index that holds everything the group has committed by now. That takes a question about some
/// entity; this one the group does not have.
async fn committed(services: &Services) -> Option<u64> {
    let actor = services.shards.get(ShardId::CATALOGUE)?;
    let now = Timestamp::from_micros(clock::wall_micros());
    let query = Query {
        entity: cluster_ref(),
        at_least: 0,
        freshness: Freshness::Latest,
        not_after: now.plus(QUESTION_MAX),
        body: ClusterQuery::Whole.to_bytes(),
    };
    let (waiter, answer) = services.unbounded_waiter();
    ask(actor, ShardMessage::Query(query, waiter)).ok()?;
    let Reply::Viewed { index, .. } = finished(answer).await.ok()? else { return None };
    Some(index)
}
