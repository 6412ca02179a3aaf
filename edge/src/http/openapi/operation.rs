//! One operation of the API: what it takes, what it answers, what it refuses.
//!
//! **Invariants:** what every reader, every change, every body and every credential brings along is
//! said here once, next to nothing else; an operation adds only what is its own.

use actors::domain::payment::ProviderName;
use axum::http::StatusCode;

use crate::http::code::{Code, Retry};
use crate::http::extract::InPath;
use crate::http::schema::{Described, Schema, of};
use crate::http::{Endpoint, Verb};

use super::headers::{Header, SHOWN};

/// A chapter of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Products,
    Carts,
    Orders,
    Catalogue,
    Imports,
    Inventory,
    Fulfilment,
    Payments,
    History,
    Cluster,
    Service,
}

impl Tag {
    pub(super) const ALL: [Self; 11] = [
        Self::Products,
        Self::Carts,
        Self::Orders,
        Self::Catalogue,
        Self::Imports,
        Self::Inventory,
        Self::Fulfilment,
        Self::Payments,
        Self::History,
        Self::Cluster,
        Self::Service,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Carts => "carts",
            Self::Orders => "orders",
            Self::Catalogue => "catalogue",
            Self::Imports => "imports",
            Self::Inventory => "inventory",
            Self::Fulfilment => "fulfilment",
            Self::Payments => "payments",
            Self::History => "history",
            Self::Cluster => "cluster",
            Self::Service => "service",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Products => "What shoppers browse.",
            Self::Carts => "What shoppers fill and check out.",
            Self::Orders => "What shoppers bought.",
            Self::Catalogue => "What merchants write.",
            Self::Imports => "Whole catalogues, in and out.",
            Self::Inventory => "What lies in stock, and for whom.",
            Self::Fulfilment => "What the shop does with orders.",
            Self::Payments => "What was paid, and what providers say of it.",
            Self::History => "What happened, from the beginning.",
            Self::Cluster => "What operators see and change of the cluster.",
            Self::Service => "What watches over the service, and this description.",
        }
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Anybody,
    /// Whoever holds the cart's token.
    CartToken,
    Operator,
    /// A provider, by what it signs.
    Signed,
}

pub(super) struct Operation {
    pub(super) endpoint: Endpoint,
    pub(super) verb: Verb,
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: String,
    pub(super) about: &'static str,
    pub(super) access: Access,
    pub(super) path: Vec<(&'static str, Schema)>,
    pub(super) query: Vec<Parameter>,
    pub(super) headers: Vec<(Header, Presence)>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) codes: Vec<Code>,
}

pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) schema: Schema,
    pub(super) about: &'static str,
    pub(super) presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
}

pub(super) struct Body {
    pub(super) media: &'static [&'static str],
    pub(super) schema: Schema,
    pub(super) presence: Presence,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// In one of these media types; without any there is no body.
    pub(super) content: Vec<(&'static str, Schema)>,
    pub(super) headers: Vec<Header>,
}

/// How much a change needs its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Optional,
    /// Money or stock moves.
    Required,
    /// It stands for a credential, so it has to be long.
    Secret,
}

pub(super) const JSON: &str = "application/json";

/// What any request may meet.
const ALWAYS: [Code; 3] = [Code::INTERNAL, Code::OVERLOADED, Code::SHUTTING_DOWN];
/// What may stand between a request and the shards.
const SHARDS: [Code; 3] = [Code::DEADLINE_EXCEEDED, Code::NODE_CUT_OFF, Code::SHARD_UNAVAILABLE];

impl Operation {
    pub(super) fn new(
        endpoint: Endpoint,
        verb: Verb,
        id: &'static str,
        tag: Tag,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            endpoint,
            verb,
            id,
            tag,
            summary: summary.into(),
            about: "",
            access: Access::Anybody,
            path: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            codes: ALWAYS.into(),
        }
    }

    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Takes an operator's token.
    pub(super) fn operator(mut self) -> Self {
        self.access = Access::Operator;
        self.refuses(&[Code::UNAUTHORIZED])
    }

    pub(super) fn signed(mut self) -> Self {
        self.access = Access::Signed;
        self
    }

    /// Takes the token of a cart, which is in the path or was what the order in it is made of.
    pub(super) fn cart_token(mut self) -> Self {
        self.access = Access::CartToken;
        self.headers.push((Header::OmniCartToken, Presence::Required));
        self
    }

    pub(super) fn at<T: InPath>(mut self) -> Self {
        self.path.push((T::NAME, T::schema()));
        let (code, _) = T::NOT_FOUND;
        self.refuses(&[code])
    }

    pub(super) fn query(self, name: &'static str, schema: Schema, about: &'static str) -> Self {
        self.queried(Parameter { name, schema, about, presence: Presence::Optional })
    }

    pub(super) fn queried(mut self, parameter: Parameter) -> Self {
        self.query.push(parameter);
        self.refuses(&[Code::VALIDATION_FAILED])
    }

    /// Answers at or past the positions that the client has seen.
    pub(super) fn reads(mut self) -> Self {
        self.headers.push((Header::OmniMinSeq, Presence::Optional));
        self.refuses(&[Code::MIN_SEQ_INVALID, Code::SEQUENCE_UNKNOWN]).refuses(&SHARDS)
    }

    /// Asks shards, without positions that the client has seen.
    pub(super) fn over_shards(self) -> Self {
        self.refuses(&SHARDS)
    }

    /// Says that the client has the newest state already.
    pub(super) fn cached(mut self) -> Self {
        self.headers.push((Header::IfNoneMatch, Presence::Optional));
        let (status, headers) = (StatusCode::NOT_MODIFIED, SHOWN.into());
        self.answers.push(Answer { status, content: Vec::new(), headers });
        self
    }

    pub(super) fn changes(mut self, key: Key) -> Self {
        let presence = match key {
            Key::Required => Presence::Required,
            Key::Optional | Key::Secret => Presence::Optional,
        };
        self.headers.extend([
            (if key == Key::Secret { Header::SecretKey } else { Header::IdempotencyKey }, presence),
            (Header::IfMatch, Presence::Optional),
            (Header::OmniMinSeq, Presence::Optional),
        ]);
        match key {
            Key::Required => self.codes.push(Code::IDEMPOTENCY_KEY_REQUIRED),
            Key::Secret => self.codes.push(Code::IDEMPOTENCY_KEY_TOO_SHORT),
            Key::Optional => {}
        }
        self.refuses(&SHARDS).refuses(&[
            Code::MIN_SEQ_INVALID,
            Code::SEQUENCE_UNKNOWN,
            Code::IF_MATCH_INVALID,
            Code::IF_NONE_MATCH_INVALID,
            Code::PRECONDITION_FAILED,
            Code::IDEMPOTENCY_KEY_INVALID,
            Code::IDEMPOTENCY_CONFLICT,
            Code::IDEMPOTENCY_KEYS_EXHAUSTED,
            Code::IDEMPOTENCY_REPLY_EXPIRED,
            Code::RESOURCE_FULL,
            Code::STORAGE_FULL,
        ])
    }

    /// A change must name the state that it replaces.
    pub(super) fn bound(mut self) -> Self {
        for (header, presence) in &mut self.headers {
            if *header == Header::IfMatch {
                *presence = Presence::Required;
            }
        }
        self.refuses(&[Code::PRECONDITION_REQUIRED])
    }

    /// A change cannot be bound to a state.
    pub(super) fn unbound(mut self) -> Self {
        self.headers.retain(|(header, _)| *header != Header::IfMatch);
        self.refuses(&[Code::IF_MATCH_UNSUPPORTED])
    }

    pub(super) fn header(mut self, header: Header) -> Self {
        self.headers.push((header, Presence::Optional));
        self
    }

    pub(super) fn body<T: Described>(self) -> Self {
        self.with_body(of::<T>(), Presence::Required)
    }

    /// A body that may be left out.
    pub(super) fn maybe_body<T: Described>(self) -> Self {
        self.with_body(of::<T>(), Presence::Optional)
    }

    pub(super) fn any_body(mut self) -> Self {
        self.body =
            Some(Body { media: &[JSON], schema: Schema::Anything, presence: Presence::Required });
        self.refuses(&[Code::BODY_TOO_LARGE, Code::REQUEST_TIMEOUT, Code::INVALID_JSON])
    }

    /// A body that is taken piece by piece, as long as it may be.
    /// What somebody outside says unasked, in a form and with a signature of their own.
    pub(super) fn takes_notices(self) -> Self {
        self.signed()
            .at::<ProviderName>()
            .any_body()
            .answers_nothing(StatusCode::NO_CONTENT, &[])
            .answers_nothing(StatusCode::ACCEPTED, &[])
            .refuses(&[
                Code::NOTICE_NOT_SIGNED,
                Code::NOTICE_UNREADABLE,
                Code::DEADLINE_EXCEEDED,
                Code::NODE_CUT_OFF,
                Code::RESOURCE_FULL,
                Code::SHARD_UNAVAILABLE,
                Code::STORAGE_FULL,
            ])
    }

    pub(super) fn streamed_body(mut self, media: &'static [&'static str], such_as: Schema) -> Self {
        self.body = Some(Body { media, schema: such_as, presence: Presence::Required });
        self.refuses(&[Code::REQUEST_TIMEOUT, Code::UNSUPPORTED_MEDIA_TYPE])
    }

    fn with_body(mut self, schema: Schema, presence: Presence) -> Self {
        self.body = Some(Body { media: &[JSON], schema, presence });
        self.refuses(&[
            Code::BODY_TOO_LARGE,
            Code::INVALID_JSON,
            Code::REQUEST_TIMEOUT,
            Code::UNSUPPORTED_MEDIA_TYPE,
            Code::VALIDATION_FAILED,
        ])
    }

    /// Free text may look like a card number.
    pub(super) fn free_text(self) -> Self {
        self.refuses(&[Code::CARD_NUMBER_REFUSED])
    }

    pub(super) fn answers<T: Described>(self, status: StatusCode, headers: &[Header]) -> Self {
        self.answers_with(status, JSON, of::<T>(), headers)
    }

    pub(super) fn answers_with(
        mut self,
        status: StatusCode,
        media: &'static str,
        schema: Schema,
        headers: &[Header],
    ) -> Self {
        let content = vec![(media, schema)];
        self.answers.push(Answer { status, content, headers: headers.into() });
        self
    }

    /// An answer whose media type the request names.
    pub(super) fn answers_either(
        mut self,
        status: StatusCode,
        content: Vec<(&'static str, Schema)>,
    ) -> Self {
        self.answers.push(Answer { status, content, headers: Vec::new() });
        self
    }

    pub(super) fn answers_nothing(mut self, status: StatusCode, headers: &[Header]) -> Self {
        self.answers.push(Answer { status, content: Vec::new(), headers: headers.into() });
        self
    }

    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        for code in codes {
            if !self.codes.contains(code) {
                self.codes.push(*code);
            }
        }
        self
    }

    /// The statuses of its refusals, each with the codes that have it.
    pub(super) fn refusals(&self) -> Vec<(StatusCode, Vec<Code>)> {
        let mut codes = self.codes.clone();
        codes.sort_by_key(|code| (code.status.as_u16(), code.name));
        let mut refusals: Vec<(StatusCode, Vec<Code>)> = Vec::new();
        for code in codes {
            match refusals.last_mut() {
                Some((status, same)) if *status == code.status => same.push(code),
                Some(_) | None => refusals.push((code.status, vec![code])),
            }
        }
        refusals
    }

    /// It comes under a key, or goes on from a place that it names.
    pub(super) fn is_change(&self) -> bool {
        self.headers.iter().any(|(header, _)| {
            matches!(header, Header::IdempotencyKey | Header::SecretKey | Header::ContentRange)
        })
    }
}

/// The headers of a refusal with one of these codes.
pub(super) fn refusal_headers(operation: &Operation, codes: &[Code]) -> Vec<Header> {
    let mut headers = Vec::new();
    if codes.iter().any(|code| code.retry == Retry::Later) {
        headers.push(Header::RetryAfter);
    }
    if codes.contains(&Code::UNAUTHORIZED) {
        headers.push(Header::WwwAuthenticate);
    }
    if codes.contains(&Code::RATE_LIMITED) {
        headers.extend([Header::RateLimit, Header::RateLimitPolicy]);
    }
    let is_decided = |code: &Code| {
        let by_prices = [Code::CATALOGUE_STALE, Code::CATALOGUE_UNAVAILABLE].contains(code);
        code.status.is_client_error() || by_prices
    };
    if operation.is_change() && codes.iter().any(is_decided) {
        headers.extend([Header::OmniSeqMaybe, Header::IdempotentReplayed, Header::LocationMaybe]);
    }
    if codes.contains(&Code::CART_MERGED) && !headers.contains(&Header::LocationMaybe) {
        headers.push(Header::LocationMaybe);
    }
    headers
}
