//! Waiting for the answer of an actor, a thread or the disk.

use ractor::ActorRef;
use storage::state::{Callback, IndexFault};
use tokio::sync::oneshot;

use crate::runtime::postponed::Postponed;
use crate::runtime::shard_actor::ShardMessage;

/// A callback for the state index and the future of its result.
pub(crate) fn callback<T: Send + 'static>()
-> (Callback<T>, oneshot::Receiver<Result<T, IndexFault>>) {
    let (send, receive) = oneshot::channel();
    let done = Box::new(move |result| {
        // Whoever asked may have gone.
        send.send(result).ok();
    });
    (done, receive)
}

pub(crate) fn ask(actor: &ActorRef<ShardMessage>, message: ShardMessage) -> Result<(), Postponed> {
    actor.cast(message).map_err(|_| Postponed::Stopping)
}

pub(crate) async fn finished<T>(answer: oneshot::Receiver<T>) -> Result<T, Postponed> {
    answer.await.map_err(|_| Postponed::Stopping)
}

/// Runs file work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Postponed> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Postponed::Stopping)
}
