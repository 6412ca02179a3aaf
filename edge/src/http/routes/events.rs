//! What the shop published, for whoever missed it or begins to listen.

use std::fmt;
use std::str::FromStr;

use actors::PageLimit;
use actors::domain::published::{Fact, topics};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::runtime::feed::{EventId, PublishedEvent};
use cluster::runtime::replay::{ReplayError, ReplayPosition};
use serde_json::Value;

use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::Operator;
use crate::http::fields::{Faults, flaw};
use crate::http::query::Values;
use crate::http::render::names::NameJson;
use crate::http::render::{Text, plain};
use crate::http::reply::Reply;
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{Described, Schema, list, object, of, required, words};

/// `GET /admin/v1/events`
pub(in crate::http) async fn list_events(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
) -> Result<Reply, ApiError> {
    let Wanted { limit, after, kind } = Wanted::of(&uri)?;
    let from = after.map_or_else(|| app.operations.replay_start(), |Token(position)| position);
    let is_wanted = |event: &PublishedEvent| {
        let is_one = |kind: &str| name_of(event).is_some_and(|name| fits(name, kind));
        kind.as_deref().is_none_or(is_one)
    };
    let replayed = app.operations.replay(from, &is_wanted, limit.get(), app.patience()).await;
    let page = replayed.map_err(refused)?;
    let data = page.events.iter().map(EventJson::new).collect::<Result<Vec<_>, _>>()?;
    let next_cursor = Token(page.position).to_string();
    let json = EventsJson { data, has_more: page.has_more, next_cursor };
    Reply::unplaced(StatusCode::OK, &json)
}

pub(super) fn refused(error: ReplayError) -> ApiError {
    match error {
        ReplayError::UnknownPosition => {
            let detail = "the cursor is of another cluster, or of this one before it was restored";
            ApiError::new(Code::SEQUENCE_UNKNOWN, detail).about("after")
        }
        ReplayError::Elsewhere { shard } => {
            let detail = format!("the history of shard {shard} is on no node that answers");
            ApiError::new(Code::HISTORY_UNREACHABLE, detail)
        }
        ReplayError::Unavailable(unavailable) => unavailable.into(),
    }
}

/// What an event is called; nothing for what this version does not know.
fn name_of(event: &PublishedEvent) -> Option<&'static str> {
    let fact = Fact::read(event.topic, &event.body).ok().flatten()?;
    Some(fact.name())
}

/// Whether a name is the one that is wanted, or of that group: `order` has `order.placed` in it.
fn fits(name: &str, wanted: &str) -> bool {
    let rest = name.strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Which events are wanted.
struct Wanted {
    limit: PageLimit,
    after: Option<Token>,
    /// The name of a fact, or its first word.
    kind: Option<String>,
}

impl Wanted {
    fn of(uri: &Uri) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let values = Values::of(uri, &["after", "type", "limit"], &mut faults);
        let limit = values.limit(&mut faults);
        let after = values.parsed("after", "must be a next_cursor of this list", &mut faults);
        let kind = values.value("type").map(str::to_owned);
        let is_known = |kind: &String| Fact::NAMES.iter().any(|name| fits(name, kind));
        if kind.as_ref().is_some_and(|kind| !is_known(kind)) {
            let takes = "must be the name of an event, or its first word";
            faults.add("type".to_owned(), flaw("invalid", takes));
        }
        faults.into_result(limit.map(|limit| Self { limit, after, kind }))
    }
}

/// A place among all events, as a client holds it.
struct Token(ReplayPosition);

impl Token {
    const PREFIX: &str = "evp_";
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PREFIX)?;
        self.0.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

struct NoToken;

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(NoToken)?;
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return Err(NoToken) };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let position = bytes.as_deref().and_then(ReplayPosition::from_bytes);
        position.map(Self).ok_or(NoToken)
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct EventJson {
    id: Text<EventName>,
    r#type: &'static str,
    topic: &'static str,
    at: Text<Rfc3339>,
    entity: NameJson,
    data: Value,
}

/// The same on every delivery, whoever asks.
struct EventName(EventId);

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", self.0)
    }
}

impl EventJson {
    fn new(event: &PublishedEvent) -> Result<Self, ApiError> {
        let read = Fact::read(event.topic, &event.body).ok().flatten();
        let shown = match &read {
            Some(Fact::Order(fact)) => plain::variant(fact),
            Some(Fact::Payment(fact)) => plain::variant(fact),
            Some(Fact::Cart(fact)) => plain::variant(fact),
            Some(Fact::Stock(fact)) => plain::variant(fact),
            // Of a later version than this node: its name and its place, so that nobody misses it.
            None => Ok((String::new(), Value::Object(serde_json::Map::new()))),
        };
        let (_, data) = shown.map_err(|error| {
            tracing::error!(%error, "an event is not shown");
            ApiError::internal()
        })?;
        Ok(Self {
            id: Text(EventName(event.id)),
            r#type: read.as_ref().map_or("unknown", Fact::name),
            topic: topics::name(event.topic).unwrap_or("unknown"),
            at: Text(Rfc3339(event.time)),
            entity: (&event.entity).into(),
            data,
        })
    }
}

/// There is always a cursor: what comes later follows it.
#[derive(serde::Serialize)]
pub(in crate::http) struct EventsJson {
    data: Vec<EventJson>,
    has_more: bool,
    next_cursor: String,
}

impl Described for EventJson {
    fn name() -> String {
        "Event".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::text("evt_1-7-345-0"))
                .about("The same on every delivery: incarnation, shard, entry, ordinal."),
            required("type", words::text("order.confirmed")),
            required("topic", words::text("orders")),
            required("at", words::instant()),
            required("entity", of::<NameJson>()),
            required("data", Schema::Anything).about("Of each type its own members."),
        ])
    }
}

impl Described for EventsJson {
    fn name() -> String {
        "EventList".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("data", list(of::<EventJson>())),
            required("has_more", Schema::Boolean)
                .about("Whether there is more at once, even behind a page without any."),
            required("next_cursor", cursor_schema())
                .about("What to send as `after`, also for what comes later."),
        ])
    }
}

/// Where a page of events ends.
pub(in crate::http) const fn cursor_schema() -> Schema {
    words::exact("^evp_([0-9a-f]{2})+$", "evp_01010000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_a_name_or_its_first_word() {
        assert!(fits("order.placed", "order") && fits("order.placed", "order.placed"));
        assert!(!fits("order.placed", "ord") && !fits("order.placed", "order.pla"));
        let wanted = |query: &str| Wanted::of(&format!("/events{query}").parse().unwrap());
        assert_eq!(wanted("?type=order&limit=3").unwrap().kind.as_deref(), Some("order"));
        for bad in ["?type=", "?type=ord", "?after=evp_", "?after=evp_0g", "?limit=0", "?a=1"] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let text = "evp_0101000006";
        assert_eq!(
            text.parse::<Token>().ok().map(|token| token.to_string()).as_deref(),
            Some(text)
        );
    }
}
