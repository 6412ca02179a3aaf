//! What a command came to.

use cluster::entity::Entity;
use cluster::fabric::{Executed, Provenance, Viewed};
use cluster::ids::EntityKey;

use crate::http::app::App;
use crate::http::error::{ApiError, Kept};
use crate::http::extract::Terms;

pub(super) struct Done<R> {
    pub(super) reply: R,
    pub(super) provenance: Provenance,
    pub(super) kept: Kept,
}

impl<R> Done<R> {
    /// The answer to a command of a request with these terms; `otherwise` is asked where it was done
    /// and its answer was lost on its way. Without a key nobody holds that any more.
    pub(super) async fn of<E: Entity<Reply = R>>(
        app: &App,
        terms: &Terms,
        key: EntityKey,
        executed: Executed<R>,
        otherwise: E::Query,
        reply_of: impl FnOnce(E::View) -> Result<R, ApiError>,
    ) -> Result<Self, ApiError> {
        let Executed { reply, provenance } = executed;
        let kept = Kept::under_key(terms.is_keyed(), provenance);
        if let Some(reply) = reply {
            return Ok(Self { reply, provenance, kept });
        }
        let at_least = [provenance.position];
        let query = app.fabric.query::<E>(key, &at_least, terms.deadline, otherwise);
        let Viewed { view, provenance } = query.await?;
        Ok(Self { reply: reply_of(view)?, provenance, kept })
    }

    pub(super) fn try_map<T>(
        self,
        of: impl FnOnce(R) -> Result<T, ApiError>,
    ) -> Result<Done<T>, ApiError> {
        let Self { reply, provenance, kept } = self;
        Ok(Done { reply: of(reply)?, provenance, kept })
    }
}
