//! The headers of requests and answers.

use crate::http::schema::{Schema, Text, count, word, words};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    // Of requests.
    ContentRange,
    IdempotencyKey,
    SecretKey,
    IfMatch,
    IfNoneMatch,
    IfNoneMatchAny,
    LastEventId,
    OmniCartToken,
    OmniMinSeq,
    Prefer,
    // Of answers.
    ETag,
    IdempotentReplayed,
    Location,
    LocationMaybe,
    OmniSeq,
    OmniSeqMaybe,
    RateLimit,
    RateLimitPolicy,
    RetryAfter,
    WwwAuthenticate,
    XRequestId,
}

const fn text(
    min: usize,
    max: Option<usize>,
    pattern: Option<&'static str>,
    such_as: &'static str,
) -> Schema {
    Schema::Text(Text { min, max, pattern, such_as })
}

/// Of an answer that shows a resource.
pub(super) const SHOWN: [Header; 2] = [Header::ETag, Header::OmniSeq];
/// Of an answer to a change of one.
pub(super) const CHANGED: [Header; 3] = [Header::ETag, Header::OmniSeq, Header::IdempotentReplayed];

impl Header {
    pub(super) const OF_ANSWERS: [Self; 11] = [
        Self::ETag,
        Self::IdempotentReplayed,
        Self::Location,
        Self::LocationMaybe,
        Self::OmniSeq,
        Self::OmniSeqMaybe,
        Self::RateLimit,
        Self::RateLimitPolicy,
        Self::RetryAfter,
        Self::WwwAuthenticate,
        Self::XRequestId,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ContentRange => "Content-Range",
            Self::IdempotencyKey | Self::SecretKey => "Idempotency-Key",
            Self::IfMatch => "If-Match",
            Self::IfNoneMatch | Self::IfNoneMatchAny => "If-None-Match",
            Self::LastEventId => "Last-Event-ID",
            Self::OmniCartToken => "Omni-Cart-Token",
            Self::OmniMinSeq => "Omni-Min-Seq",
            Self::Prefer => "Prefer",
            Self::ETag => "ETag",
            Self::IdempotentReplayed => "Idempotent-Replayed",
            Self::Location | Self::LocationMaybe => "Location",
            Self::OmniSeq | Self::OmniSeqMaybe => "Omni-Seq",
            Self::RateLimit => "RateLimit",
            Self::RateLimitPolicy => "RateLimit-Policy",
            Self::RetryAfter => "Retry-After",
            Self::WwwAuthenticate => "WWW-Authenticate",
            Self::XRequestId => "X-Request-Id",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::ContentRange => {
                "`bytes <first>-<last>/<length or *>`: which bytes the body is; without it, all of them."
            }
            Self::IdempotencyKey => {
                "The client's own name for this request: sent again, it is answered alike and done once."
            }
            Self::SecretKey => {
                "The client's own name for this request. There is no other credential here, so it is a \
                 secret: 32 characters or more."
            }
            Self::IfMatch => "`*`, or the ETag of the state that is to be changed.",
            Self::IfNoneMatch => "ETags that the client has the state of.",
            Self::IfNoneMatchAny => "`*`: only if there is nothing yet.",
            Self::LastEventId => "The `id` of the last event that the client has.",
            Self::OmniCartToken => "What the creation of the cart answered as `token`.",
            Self::OmniMinSeq => "An Omni-Seq: the answer is at or past it.",
            Self::Prefer => "`wait=N`: how many seconds to wait for the outcome.",
            Self::ETag => "The sequence of the resource, for If-Match.",
            Self::IdempotentReplayed => "`true` of an answer that was given before.",
            Self::Location | Self::LocationMaybe => "Where to read what it is about.",
            Self::OmniSeq | Self::OmniSeqMaybe => {
                "The place in the history of shards, for Omni-Min-Seq."
            }
            Self::RateLimit => "What is left of a limit.",
            Self::RateLimitPolicy => "The limit.",
            Self::RetryAfter => "Seconds after which to try again.",
            Self::WwwAuthenticate => "The credential that is wanted.",
            Self::XRequestId => "Names the request in the service's logs.",
        }
    }

    /// Whether an answer with it always has it.
    pub(super) const fn is_certain(self) -> bool {
        match self {
            Self::ETag
            | Self::Location
            | Self::OmniSeq
            | Self::XRequestId
            | Self::WwwAuthenticate
            | Self::ContentRange
            | Self::IdempotencyKey
            | Self::SecretKey
            | Self::IfMatch
            | Self::IfNoneMatch
            | Self::IfNoneMatchAny
            | Self::LastEventId
            | Self::OmniCartToken
            | Self::OmniMinSeq
            | Self::Prefer => true,
            Self::IdempotentReplayed
            | Self::LocationMaybe
            | Self::OmniSeqMaybe
            | Self::RateLimit
            | Self::RateLimitPolicy
            | Self::RetryAfter => false,
        }
    }

    pub(super) fn schema(self) -> Schema {
        const KEY: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";
        const VISIBLE: Option<&str> = Some("^[!-~]+$");
        const POSITIONS: Option<&str> =
            Some("^[0-9]{1,9}[.][0-9]{1,9}:[0-9]{1,19}(,[0-9]{1,9}[.][0-9]{1,9}:[0-9]{1,19})*$");
        match self {
            Self::ContentRange => {
                let range = Some("^bytes [0-9]+-[0-9]+/([0-9]+|[*])$");
                text(0, None, range, "bytes 0-1023/1024")
            }
            Self::IdempotencyKey => text(1, Some(255), VISIBLE, KEY),
            Self::SecretKey => text(32, Some(255), VISIBLE, KEY),
            Self::IfMatch => text(0, None, Some(r#"^(\*|"[^"]*")$"#), "*"),
            Self::IfNoneMatch => words::text("\"1\""),
            Self::IfNoneMatchAny => word(&["*"]),
            Self::LastEventId => words::text("2"),
            Self::OmniCartToken => {
                let token = "q3Jt5nB0x8vXc2Yw7mKzRfLd1sHgPa4eUiOoTb6N9Qk";
                text(43, Some(43), Some("^[A-Za-z0-9_-]+$"), token)
            }
            Self::OmniMinSeq | Self::OmniSeq | Self::OmniSeqMaybe => {
                text(0, None, POSITIONS, "1.0:1")
            }
            Self::Prefer => words::text("wait=5"),
            Self::ETag => text(0, None, Some("^\"[0-9]+\"$"), "\"2\""),
            Self::IdempotentReplayed => word(&["true"]),
            Self::Location | Self::LocationMaybe => text(0, None, Some("^/"), "/store/v1/carts"),
            Self::RateLimit | Self::RateLimitPolicy | Self::WwwAuthenticate => {
                words::text("\"carts\";r=0;t=1")
            }
            Self::RetryAfter => count(1),
            Self::XRequestId => {
                text(1, Some(64), Some("^[A-Za-z0-9._-]+$"), "req_0000000000000abc-000000000001")
            }
        }
    }
}
