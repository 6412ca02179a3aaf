//! A cart as it changes, for whoever has it open: server-sent events.
//!
//! **Invariants:** an event is the cart as a `GET` at that moment shows it, under its sequence, and
//! sequences rise; what a client has seen by its `Last-Event-ID` is not sent again. A stream is of any
//! node and ends when the cart does, when the client goes, or when the server drains; a node has so
//! many of them and no more, and each holds two events at most. What is on the cart's gift cards is as
//! of its event: that it changes is no change of the cart.
//!
//! It looks at the cart twice a second instead of following its shard: whoever leads that is another
//! node most of the time, and a look costs less than what it takes to subscribe, fail over and catch
//! up. Changes between two looks come as one.

use std::time::{Duration, Instant};

use actors::Cart;
use actors::domain::cart::{Lookup, Query, Status, View};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cluster::fabric::{QueryError, Unavailable};
use storage::clock;

use super::cart::{look_up, path_of};
use super::cart_gift_cards::balances;
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{GuestCart, ReadTerms};
use crate::http::render::cart::CartJson;
use crate::http::streaming::{Pieces, streamed};
use crate::server::Draining;

/// Streams that one node has at once.
pub(in crate::http) const STREAMS_MAX: usize = 1_024;
/// Between two looks at a cart.
const LOOK_PAUSE: Duration = Duration::from_millis(500);
/// A client that hears nothing for longer takes the connection for broken.
const HEARTBEAT: Duration = Duration::from_secs(15);
const RETRY_AFTER_SECONDS: u64 = 5;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /store/v1/carts/{id}/stream`
pub(in crate::http) async fn stream(
    State(app): State<App>,
    cart: GuestCart,
    headers: HeaderMap,
    // It takes the headers with it.
    terms: ReadTerms,
    draining: Option<Extension<Draining>>,
) -> Result<Response, ApiError> {
    let Ok(place) = app.cart_streams.clone().try_acquire_owned() else {
        let detail = "this node shows as many carts live as it can; ask another one, or later";
        return Err(ApiError::new(Code::TOO_MANY_STREAMS, detail).retry_after(RETRY_AFTER_SECONDS));
    };
    let (view, provenance) = look_up(&app, &cart, &terms.at_least, terms.deadline).await?;
    let seen = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()?.parse().ok());
    if seen == Some(provenance.seq) && is_over(view.status) {
        // Clients come back by themselves until they are told not to.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (response, pieces) = streamed("text/event-stream");
    let live = Live { app, cart, pieces, seen, told_at: clock::monotonic() };
    tokio::spawn(async move {
        let draining = async {
            match draining {
                Some(Extension(draining)) => draining.begun().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = live.run((view, provenance.seq)) => {}
            () = draining => {}
        }
        drop(place);
    });
    Ok(response)
}

fn is_over(status: Status) -> bool {
    match status {
        Status::MergedAway { .. } | Status::Deleted | Status::Ordered { .. } => true,
        Status::Open | Status::Merging { .. } | Status::CheckingOut { .. } => false,
    }
}

/// One stream.
struct Live {
    app: App,
    cart: GuestCart,
    pieces: Pieces,
    /// The last sequence that the client has.
    seen: Option<u64>,
    told_at: Instant,
}

/// The client is gone.
struct Gone;

impl Live {
    async fn run(mut self, first: (View, u64)) {
        let mut newest = Some(first);
        loop {
            if let Some((view, seq)) = newest
                && (self.show(&view, seq).await.is_err() || is_over(view.status))
            {
                return;
            }
            tokio::select! {
                () = self.pieces.closed() => return,
                () = tokio::time::sleep(LOOK_PAUSE) => {}
            }
            newest = match self.look().await {
                Ok(newest) => newest,
                Err(Gone) => return,
            };
            let is_quiet = self.told_at.elapsed() >= HEARTBEAT;
            if is_quiet && self.say(":\n\n".to_owned()).await.is_err() {
                return;
            }
        }
    }

    /// The cart as it is; nothing when it cannot be read for now.
    async fn look(&self) -> Result<Option<(View, u64)>, Gone> {
        let deadline = now().plus(self.app.settings.request_timeout);
        let query = self.app.fabric.query::<Cart>(self.cart.id.key(), &[], deadline, Query::Cart);
        match query.await {
            Ok(viewed) => {
                let Lookup(view) = viewed.view;
                let view = view.filter(|view| view.access == self.cart.token.access());
                view.map(|view| Some((view, viewed.provenance.seq))).ok_or(Gone)
            }
            Err(QueryError::Undecodable | QueryError::Unavailable(Unavailable::ShuttingDown)) => {
                Err(Gone)
            }
            Err(QueryError::Unavailable(
                Unavailable::Busy { .. }
                | Unavailable::DeadlineExceeded
                | Unavailable::StorageFull
                | Unavailable::CutOff
                | Unavailable::UnknownPosition
                | Unavailable::Fenced { .. },
            )) => Ok(None),
        }
    }

    async fn show(&mut self, view: &View, seq: u64) -> Result<(), Gone> {
        if self.seen == Some(seq) {
            return Ok(());
        }
        let data = match view.status {
            // As a `GET` says it, which is not with a cart.
            Status::Deleted => "event: end\ndata: {\"code\":\"cart_not_found\"}\n\n".to_owned(),
            Status::MergedAway { into } => {
                let location = path_of(into);
                format!(
                    "event: end\ndata: {{\"code\":\"cart_merged\",\"location\":\"{location}\"}}\n\n"
                )
            }
            Status::Open
            | Status::Merging { .. }
            | Status::CheckingOut { .. }
            | Status::Ordered { .. } => {
                let deadline = now().plus(self.app.settings.request_timeout);
                let balances = balances(&self.app, view, deadline).await;
                let json = CartJson::new(view, seq, &balances);
                let json = serde_json::to_string(&json).map_err(|error| {
                    tracing::error!(%error, "a cart could not be rendered");
                    Gone
                })?;
                format!("event: cart\ndata: {json}\n\n")
            }
        };
        self.seen = Some(seq);
        self.say(format!("id: {seq}\n{data}")).await
    }

    async fn say(&mut self, text: String) -> Result<(), Gone> {
        self.told_at = clock::monotonic();
        self.pieces.send(Ok(Bytes::from(text))).await.map_err(|_| Gone)
    }
}
