//! What happened to one thing, and what it was like at any time.
//!
//! **Invariants:** a state is made of the changes before it by the domain's own code, and shown as the
//! thing itself is shown; what a page or a state may cost is bounded, and past the bound it is refused
//! or goes on on another page. Availability and the like, which are of today, are of no past state.

mod cursor;
mod families;

use std::num::NonZeroU64;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::entity::{Context, DecodeError, Entity, NoCatalogue, Wire};
use cluster::ids::EntityRef;
use cluster::runtime::lives::{Change, ChangedBy, LifePosition};
use cluster::time::Timestamp;
use serde_json::Value;

use super::events::refused;
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, PathId};
use crate::http::fields::{Faults, flaw};
use crate::http::positions::OmniSeq;
use crate::http::query::{Page, Values};
use crate::http::render::inventory::ListJson;
use crate::http::render::{Text, plain};
use crate::http::reply::Reply;
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{self, Described, Schema, list, object, of, required, words};

use cursor::ChangeCursor;
pub(in crate::http) use cursor::cursor_schema;
use families::Remembered;
pub(in crate::http) use families::{AnyId, Family};

/// Changes that a past state is made of at most.
const CHANGES_MAX: u64 = 100_000;
/// Changes that are read at once for that.
const CHANGES_AT_ONCE: usize = 1_000;

/// Calls a function for the entity that a family is of.
macro_rules! of_family {
    ($family:expr, $call:ident($($argument:expr),*)) => {
        match $family {
            Family::Carts => $call::<actors::Cart>($($argument),*).await,
            Family::Orders => $call::<actors::Order>($($argument),*).await,
            Family::GiftCards => $call::<actors::GiftCard>($($argument),*).await,
            Family::Payments => $call::<actors::Payment>($($argument),*).await,
            Family::Inventory => $call::<actors::Sku>($($argument),*).await,
            Family::Products => $call::<actors::ProductPage>($($argument),*).await,
            Family::Categories => $call::<actors::Entry<actors::Category>>($($argument),*).await,
            Family::PriceLists => $call::<actors::Entry<actors::PriceList>>($($argument),*).await,
            Family::TaxRates => $call::<actors::Entry<actors::TaxRate>>($($argument),*).await,
            Family::Sellers => $call::<actors::Entry<actors::Seller>>($($argument),*).await,
            Family::DiscountCodes => {
                $call::<actors::Entry<actors::DiscountCode>>($($argument),*).await
            }
            Family::StockLocations => {
                $call::<actors::Entry<actors::StockLocation>>($($argument),*).await
            }
            Family::Promotions => $call::<actors::Entry<actors::Promotion>>($($argument),*).await,
            Family::ShippingOptions => {
                $call::<actors::Entry<actors::ShippingOption>>($($argument),*).await
            }
        }
    };
}

/// `GET /admin/v1/{entity}/{id}/history`
pub(in crate::http) async fn list_changes(
    State(app): State<App>,
    _: Operator,
    PathId(family): PathId<Family>,
    PathId(AnyId(id)): PathId<AnyId>,
    uri: Uri,
) -> Result<Reply, ApiError> {
    let page = Page::of(&uri)?;
    of_family!(family, changes(&app, &id, page))
}

/// `GET /admin/v1/{entity}/{id}/at?seq=`
pub(in crate::http) async fn show_state(
    State(app): State<App>,
    _: Operator,
    PathId(family): PathId<Family>,
    PathId(AnyId(id)): PathId<AnyId>,
    uri: Uri,
) -> Result<Reply, ApiError> {
    let mut faults = Faults::default();
    let values = Values::of(&uri, &["seq"], &mut faults);
    let seq: Option<NonZeroU64> = values.parsed("seq", "must be a number from 1 on", &mut faults);
    if values.value("seq").is_none() {
        faults.add("seq".to_owned(), flaw("required", "is missing"));
    }
    let seq = faults.into_result(seq)?.get();
    of_family!(family, state(&app, &id, seq))
}

async fn changes<E: Remembered>(
    app: &App,
    id: &str,
    Page { limit, after }: Page<ChangeCursor>,
) -> Result<Reply, ApiError>
where
    E::Event: serde::Serialize,
{
    let key = E::key_of(id).ok_or_else(E::not_found)?;
    let from = after.map_or_else(LifePosition::default, |ChangeCursor(from)| from);
    let read = app.operations.changes_of::<E>(key, from, limit.get(), app.patience()).await;
    let page = read.map_err(refused)?;
    if page.position.seq == 0 && !page.has_more {
        return Err(E::not_found());
    }
    let data = page.changes.iter().map(ChangeJson::of::<E>).collect::<Result<Vec<_>, _>>()?;
    let next = page.has_more.then_some(ChangeCursor(page.position));
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, next))
}

async fn state<E: Remembered>(app: &App, id: &str, seq: u64) -> Result<Reply, ApiError>
where
    E::Event: serde::Serialize,
{
    let key = E::key_of(id).ok_or_else(E::not_found)?;
    let (mut state, mut position) = (E::default(), LifePosition::default());
    let deadline = now().plus(app.settings.request_timeout);
    loop {
        if now() >= deadline {
            let detail = "the history before is too long to be read for one answer";
            return Err(ApiError::new(Code::HISTORY_TOO_LONG, detail).about("seq"));
        }
        let left = seq.saturating_sub(position.seq);
        let wanted = usize::try_from(left).map_or(CHANGES_AT_ONCE, |it| it.min(CHANGES_AT_ONCE));
        let read = app.operations.changes_of::<E>(key.clone(), position, wanted, app.patience());
        let page = read.await.map_err(refused)?;
        let mut last = None;
        for change in &page.changes {
            apply(&mut state, change)?;
            last = Some(change);
        }
        if let Some(last) = last.filter(|last| last.seq == seq) {
            let me = EntityRef { kind: E::KIND, key };
            let json = StateJson::new::<E>(&state, last, &me)?;
            return Reply::unplaced(StatusCode::OK, &json);
        }
        position = page.position;
        if !page.has_more {
            let detail = format!("its last change has seq {}", position.seq);
            let unknown = || ApiError::new(Code::SEQ_NOT_FOUND, detail).about("seq");
            return Err(if position.seq == 0 { E::not_found() } else { unknown() });
        }
        if position.seq >= CHANGES_MAX {
            let detail = format!("a state is shown up to seq {CHANGES_MAX}; page through history");
            return Err(ApiError::new(Code::HISTORY_TOO_LONG, detail).about("seq"));
        }
    }
}

fn apply<E: Entity>(state: &mut E, change: &Change) -> Result<(), ApiError> {
    for event in &change.events {
        state.apply(&E::Event::from_bytes(event).map_err(unreadable)?);
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
fn unreadable(error: DecodeError) -> ApiError {
    tracing::error!(%error, "an event of history cannot be read");
    ApiError::internal()
}

fn not_shown(error: plain::NotShown) -> ApiError {
    tracing::error!(%error, "what happened is not shown");
    ApiError::internal()
}

/// As it was at a moment, without anything from outside.
fn context(me: &EntityRef, at: Timestamp) -> Context<'_> {
    Context { now: at, me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) }
}

/// One change.
#[derive(serde::Serialize)]
pub(in crate::http) struct ChangeJson {
    seq: u64,
    position: String,
    at: Text<Rfc3339>,
    by: ByJson,
    events: Vec<HappenedJson>,
}

#[derive(serde::Serialize)]
struct ByJson {
    kind: &'static str,
    id: String,
}

#[derive(serde::Serialize)]
struct HappenedJson {
    r#type: String,
    data: Value,
}

impl ChangeJson {
    fn of<E: Entity>(change: &Change) -> Result<Self, ApiError>
    where
        E::Event: serde::Serialize,
    {
        let happened = |bytes: &Vec<u8>| {
            let event = E::Event::from_bytes(bytes).map_err(unreadable)?;
            let (r#type, data) = plain::variant(&event).map_err(not_shown)?;
            Ok(HappenedJson { r#type, data })
        };
        Ok(Self {
            seq: change.seq,
            position: OmniSeq(&[change.position]).to_string(),
            at: Text(Rfc3339(change.at)),
            by: change.by.into(),
            events: change.events.iter().map(happened).collect::<Result<_, ApiError>>()?,
        })
    }
}

impl From<ChangedBy> for ByJson {
    fn from(by: ChangedBy) -> Self {
        let (kind, id) = match by {
            ChangedBy::Request(id) => ("request", format!("{:016x}-{}", id.router, id.number)),
            ChangedBy::Entity(Some((shard, seq))) => ("entity", format!("{shard}-{seq}")),
            ChangedBy::Entity(None) => ("entity", "same-entry".to_owned()),
            ChangedBy::Timer(name) => ("timer", name.0.to_string()),
            ChangedBy::Answer(at) => ("answer", format!("{}-{}", at.index, at.ordinal)),
        };
        Self { kind, id }
    }
}

/// What something was like.
#[derive(serde::Serialize)]
pub(in crate::http) struct StateJson {
    seq: u64,
    position: String,
    at: Text<Rfc3339>,
    state: Value,
}

impl StateJson {
    fn new<E: Remembered>(state: &E, last: &Change, me: &EntityRef) -> Result<Self, ApiError> {
        let shown = state.shown(last.seq, &context(me, last.at))?;
        Ok(Self {
            seq: last.seq,
            position: OmniSeq(&[last.position]).to_string(),
            at: Text(Rfc3339(last.at)),
            state: shown,
        })
    }
}

const POSITION: &str = "1.7:345";

impl Described for ChangeJson {
    fn name() -> String {
        "Change".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("seq", schema::count(3)).about("The sequence of the thing after it."),
            required("position", words::text(POSITION)),
            required("at", words::instant()),
            required(
                "by",
                object([
                    required("kind", schema::word(&["request", "entity", "timer", "answer"])),
                    required("id", words::text("00c0ffee00c0ffee-17")),
                ]),
            )
            .about("What gave the command, and which one it was."),
            required("events", list(of::<HappenedJson>())),
        ])
    }
}

impl Described for HappenedJson {
    fn name() -> String {
        "Happened".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("type", words::text("quantity_set")),
            required("data", Schema::Anything).about("Of each type its own members."),
        ])
    }
}

impl Described for StateJson {
    fn name() -> String {
        "StateAt".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("seq", schema::count(3)),
            required("position", words::text(POSITION)),
            required("at", words::instant()),
            required("state", Schema::Nullable(Box::new(Schema::Anything)))
                .about("As the thing itself is shown; null where it was deleted."),
        ])
    }
}
