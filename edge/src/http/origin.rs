//! Who answers for a change: what the audit says of it.
//!
//! **Invariants:** an operator's change has an origin wherever it is made, for it comes with the terms of
//! the request; nobody else's has one. It says the operation and its path, nothing of the body and no
//! secret.

use actors::domain::audit::By;
use actors::domain::names::Label;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use cluster::fabric::Origin;

use super::app::App;
use super::error::ApiError;
use super::keys::Credential;
use super::{Asked, openapi};

impl Asked {
    pub(super) fn of(parts: &Parts) -> Result<Self, ApiError> {
        parts.extensions.get().copied().ok_or_else(|| {
            tracing::error!("a change does not say what it is");
            ApiError::internal()
        })
    }
}

impl FromRequestParts<App> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        Self::of(parts)
    }
}

pub(super) fn origin(credential: Credential<'_>, asked: Asked, path: &str) -> Option<Origin> {
    let actor = match credential {
        Credential::Operator => "operator",
        Credential::Nobody | Credential::Cart(_) => return None,
    };
    let operation = openapi::operation_id(asked);
    let (actor, operation) = (actor.parse().ok()?, operation.parse().ok()?);
    Some(By { actor, operation, path: Label::of_what_fits(path) }.origin())
}

#[cfg(test)]
mod tests {
    use cluster::entity::Wire;

    use super::*;
    use crate::http::{Endpoint, Verb};

    #[test]
    fn every_operation_has_an_origin_for_operators_alone() {
        for (endpoint, verb) in openapi::described() {
            let asked = Asked { endpoint, verb };
            let of = |credential| origin(credential, asked, endpoint.path());
            let by = By::from_bytes(&of(Credential::Operator).unwrap().0).unwrap();
            assert_eq!(by.actor.as_str(), "operator");
            assert_eq!(by.operation.as_str(), openapi::operation_id(asked));
            assert_eq!(by.path.as_str(), endpoint.path());
            assert_eq!([Credential::Nobody, Credential::Cart(b"token")].map(of), [None, None]);
        }
        let unmatched = Asked { endpoint: Endpoint::Unmatched, verb: Verb::Post };
        assert_eq!(openapi::operation_id(unmatched), "unknown");
    }
}
