//! A simulator in a process of its own, as whoever asks it sees it.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Answered, Caller};
use super::door::{ProviderFuture, in_doubt};
use super::notices;
use super::service::KEY;
use super::signature::{NoticeRefused, NoticeSecret};

pub(super) struct Remote {
    caller: Arc<Caller>,
    /// Without it no notice is believed.
    secret: Option<NoticeSecret>,
}

impl Remote {
    pub(super) fn new(caller: Caller, secret: Option<NoticeSecret>) -> Self {
        Self { caller: Arc::new(caller), secret }
    }

    /// Has something done, and reads what it came to.
    pub(super) fn send<T: DeserializeOwned + 'static>(
        &self,
        path: &'static str,
        key: String,
        body: &impl Serialize,
    ) -> ProviderFuture<T> {
        let (caller, body) = (Arc::clone(&self.caller), serde_json::to_vec(body));
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(KEY, HeaderValue::try_from(key).map_err(in_doubt)?);
            let sent = caller.send(Method::POST, path, headers, body.map_err(in_doubt)?).await;
            let answered = sent.map_err(in_doubt)?;
            match answered.status {
                StatusCode::OK => read(&answered),
                status => Err(unclear(status)),
            }
        })
    }

    /// What became of something; nothing if it never arrived.
    pub(super) fn find<T: DeserializeOwned + 'static>(
        &self,
        path: String,
    ) -> ProviderFuture<Option<T>> {
        let caller = Arc::clone(&self.caller);
        Box::pin(async move {
            let answered = caller.send(Method::GET, &path, HeaderMap::new(), Vec::new()).await;
            let answered = answered.map_err(in_doubt)?;
            match answered.status {
                StatusCode::OK => read(&answered).map(Some),
                StatusCode::NOT_FOUND => Ok(None),
                status => Err(unclear(status)),
            }
        })
    }

    pub(super) fn read_notice<T: DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<T, NoticeRefused> {
        notices::read(self.secret.as_ref(), headers, body, now)
    }
}

fn read<T: DeserializeOwned>(answered: &Answered) -> Result<T, InDoubt> {
    serde_json::from_slice(&answered.body).map_err(in_doubt)
}

fn unclear(status: StatusCode) -> InDoubt {
    InDoubt(format!("the simulator answered {status}"))
}
