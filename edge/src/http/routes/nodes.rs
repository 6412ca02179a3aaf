//! The nodes of the cluster, for operators.

use axum::extract::State;
use axum::http::StatusCode;
use cluster::placement::cluster::{Cluster, Command, Fewer};
use cluster::placement::member::Standing;
use cluster::runtime::operations::Surveyed;
use serde::Serialize;

use super::documents::{Nothing, RemoveNode};
use crate::http::app::App;
use crate::http::error::{ApiError, Kept};
use crate::http::extract::{JsonBody, NodePath, Operator, PathId, ReadTerms, Terms};
use crate::http::keys::Credential;
use crate::http::refusals;
use crate::http::reply::Reply;
use crate::http::schema::Described;
use crate::http::topology::{ClusterDocument, NodeChange};

/// `GET /system/v1/cluster`: asks every node, and says which gave no answer.
pub(in crate::http) async fn show(
    State(app): State<App>,
    _: Operator,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let surveyed = survey(&app, &terms).await?;
    let incarnation = app.fabric.incarnation().0;
    surveyed_reply(&surveyed, &ClusterDocument::new(&surveyed, incarnation))
}

/// `POST /system/v1/nodes/{id}/drain`: it is to lead nothing.
pub(in crate::http) async fn drain(
    State(app): State<App>,
    _: Operator,
    PathId(node): PathId<NodePath>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    set_standing(&app, &terms, &body.bytes, node, Standing::Draining, Fewer::Refuse).await
}

/// `POST /system/v1/nodes/{id}/resume`: it takes its share again, also one that was to leave.
pub(in crate::http) async fn resume(
    State(app): State<App>,
    _: Operator,
    PathId(node): PathId<NodePath>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    set_standing(&app, &terms, &body.bytes, node, Standing::Active, Fewer::Refuse).await
}

/// `POST /system/v1/nodes/{id}/remove`: its replicas go elsewhere, and then it is dropped.
pub(in crate::http) async fn remove(
    State(app): State<App>,
    _: Operator,
    PathId(node): PathId<NodePath>,
    terms: Terms,
    body: JsonBody<RemoveNode>,
) -> Result<Reply, ApiError> {
    let RemoveNode { fewer } = body.document;
    set_standing(&app, &terms, &body.bytes, node, Standing::Leaving, fewer).await
}

async fn set_standing(
    app: &App,
    terms: &Terms,
    body: &[u8],
    NodePath(node): NodePath,
    to: Standing,
    fewer: Fewer,
) -> Result<Reply, ApiError> {
    let command = Command::SetStanding { node, to, fewer };
    let change = NodeChange { id: node.0, standing: to.name().to_owned() };
    execute(app, terms, body, command, &change).await
}

/// Changes what the cluster agrees on. The answer says what was asked for, so a repeat says the
/// same.
pub(super) async fn execute(
    app: &App,
    terms: &Terms,
    body: &[u8],
    command: Command,
    answer: &(impl Serialize + Described),
) -> Result<Reply, ApiError> {
    let envelope = terms.envelope(Credential::Operator, body);
    let executed = app.operations.execute(&envelope, command).await.map_err(|error| {
        let resource = || "/system/v1/cluster".to_owned();
        ApiError::from_command::<Cluster>(error, terms.is_keyed(), resource, refusals::of_cluster)
    })?;
    let kept = Kept::under_key(terms.is_keyed(), executed.provenance);
    Ok(Reply::resource(StatusCode::OK, answer, executed.provenance)?.kept(kept))
}

/// What all nodes say, within a part of the request's own time.
pub(super) async fn survey(app: &App, terms: &ReadTerms) -> Result<Surveyed, ApiError> {
    Ok(app.operations.survey(&terms.at_least, app.survey_time()).await?)
}

pub(super) fn surveyed_reply(
    surveyed: &Surveyed,
    document: &(impl Serialize + Described),
) -> Result<Reply, ApiError> {
    match surveyed.agreed {
        // Much of it is not the entity's own state, so it has no tag.
        Some(provenance) => {
            Ok(Reply::resource(StatusCode::OK, document, provenance)?.without_etag())
        }
        None => Reply::unplaced(StatusCode::OK, document),
    }
}
