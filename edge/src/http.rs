//! HTTP: what is asked, who asks, what is answered.

pub mod app;
mod at_once;
mod base64url;
mod bench_om;
mod body;
mod card_number;
mod code;
mod conditional;
mod credentials;
mod crowd;
mod endpoint;
mod error;
mod extract;
mod fields;
mod gift_code;
pub mod imports;
mod json;
mod keys;
mod middleware;
pub mod openapi;
mod origin;
mod positions;
mod query;
mod rate_limit;
mod refusals;
mod render;
mod reply;
mod rfc3339;
pub mod router;
mod routes;
mod schema;
pub mod starting;
mod streaming;
pub mod topology;

pub(crate) use endpoint::{Asked, Class, Endpoint, Verb};
