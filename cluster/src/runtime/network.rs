//! The way to the other nodes: the mesh, and questions with answers.
//!
//! **Invariants:** a question that may have had its effect is told apart from one that certainly had
//! none.

use bytes::Bytes;
use tokio::time::Instant;

use crate::ids::NodeId;
use crate::runtime::mesh::Mesh;
use crate::runtime::mesh::calls::{CallError, Calls};
use crate::shard::question::{Answer, Question};
use crate::wire::Lane;

pub(crate) struct Network {
    pub(crate) mesh: Mesh,
    pub(crate) calls: Calls,
    /// For what is large and can wait.
    pub(crate) bulk: Calls,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It had no effect.
    NotAsked,
    /// It may have had its effect.
    Unknown,
    /// It does not fit a frame.
    TooLarge,
}

impl Network {
    pub(crate) async fn ask(
        &self,
        to: NodeId,
        question: &Question,
        deadline: Instant,
    ) -> Result<Answer, Unanswered> {
        let body = question.encode().ok_or(Unanswered::TooLarge)?;
        let calls = if question.lane() == Lane::Bulk { &self.bulk } else { &self.calls };
        let answer = calls.call(to, Bytes::from(body), deadline.into_std()).await;
        match answer {
            Ok(answer) => Answer::decode(&answer).map_err(|error| {
                tracing::error!(peer.id = to.0, %error, "a peer's answer cannot be read");
                Unanswered::Unknown
            }),
            Err(CallError::NotSent(_) | CallError::Refused(_)) => Err(Unanswered::NotAsked),
            Err(CallError::Unknown(_)) => Err(Unanswered::Unknown),
        }
    }
}
