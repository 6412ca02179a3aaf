//! What those outside say unasked.
//!
//! **Invariant:** each notice is counted once, as what became of it.

use axum::http::StatusCode;
use cluster::entity::Entity;
use cluster::fabric::{CommandError, Envelope};
use cluster::ids::EntityKey;

use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::metrics::NoticeOutcome;
use crate::providers::NoticeRefused;

/// What a notice comes to for an entity, and where that is shown.
pub(super) struct Told<E: Entity> {
    pub(super) key: EntityKey,
    pub(super) command: E::Command,
    pub(super) path: String,
}

/// Takes a notice as it was read. What it is about may be elsewhere: it is accepted all the same, since
/// sent again it would not be here either, and other shops may have accounts with whoever sends it.
pub(super) async fn take<E: Entity, N>(
    app: &App,
    count: impl Fn(NoticeOutcome),
    read: Result<Option<N>, NoticeRefused>,
    told: impl FnOnce(N) -> Told<E>,
    is_elsewhere: impl FnOnce(&E::Rejection) -> bool,
    refusal: impl FnOnce(E::Rejection) -> ApiError,
) -> Result<StatusCode, ApiError> {
    let notice = match read {
        Ok(Some(notice)) => notice,
        Ok(None) => {
            count(NoticeOutcome::PassedOver);
            return Ok(StatusCode::NO_CONTENT);
        }
        Err(refused) => {
            count(NoticeOutcome::Refused);
            return Err(not_believed(refused));
        }
    };
    let Told { key, command, path } = told(notice);
    let envelope = Envelope::until(now().plus(app.settings.request_timeout));
    match app.fabric.execute::<E>(key, envelope, command).await {
        Ok(_) => {
            count(NoticeOutcome::Taken);
            Ok(StatusCode::NO_CONTENT)
        }
        Err(CommandError::Rejected { rejection, .. }) if is_elsewhere(&rejection) => {
            count(NoticeOutcome::PassedOver);
            Ok(StatusCode::ACCEPTED)
        }
        Err(error) => {
            count(NoticeOutcome::Failed);
            Err(ApiError::from_command::<E>(error, false, || path, refusal))
        }
    }
}

fn not_believed(refused: NoticeRefused) -> ApiError {
    let code = match refused {
        NoticeRefused::BadSignature | NoticeRefused::OutOfTime => Code::NOTICE_NOT_SIGNED,
        NoticeRefused::Unreadable => Code::NOTICE_UNREADABLE,
        // Sent again later, it is taken.
        NoticeRefused::NotVouched => Code::NOTICE_NOT_VOUCHED,
    };
    ApiError::new(code, refused.to_string())
}
