//! The rim: the HTTP API for carts and stock.
//!
//! A request passes [`server`] (connections and their limits), [`http::router`] (every route on one
//! screen), one middleware (request id, shedding, metrics, security headers, the form of errors)
//! and a handler, which turns it into one command or query of the fabric and renders the answer.
//!
//! **Invariants:**
//! - an answer to a mutation is rendered from the entity's reply and its provenance alone, so that
//!   a retry under the same `Idempotency-Key` gets the same bytes on any node;
//! - nothing is buffered past its bound: bodies, headers, connections and requests in flight;
//! - what belongs to somebody else looks exactly like what does not exist;
//! - an answer of the 5xx range says nothing about the inside.
//!
//! A refusal that is kept under a key carries no `request_id` in its body, or its repeat would
//! differ; the header `X-Request-Id` is always there. The member `available` of a cart's items is
//! left out where this node does not know the stock: it is advice, and a guess would be a lie.
//!
//! What is *not* decided here: every rule of business. That is the domain's, in `actors`.

pub mod http;
pub mod metrics;
mod peer;
pub mod providers;
pub mod publishing;
pub mod server;
