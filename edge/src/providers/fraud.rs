//! Whoever decides which orders look like fraud, behind one port.
//!
//! **Invariants:** an answer is somebody's own definite word; without one the order decides for itself.

pub mod rules;

use std::fmt;
use std::sync::Arc;

use actors::domain::fraud::{PORT, Question, Verdict};
use cluster::entity::{Answer, Port, Wire};
use cluster::runtime::ports::{InDoubt, InvocationId, PortAdapter, PortFuture, RetryRule};

use super::door::{HORIZON, ProviderFuture};
use crate::metrics::VerdictMetrics;

/// Somebody who decides. To be asked twice is to be asked once.
pub trait Judge: Send + Sync + 'static {
    fn judge(&self, question: Question) -> ProviderFuture<Verdict>;
}

#[derive(Clone)]
pub struct Fraud {
    judge: Arc<dyn Judge>,
    metrics: VerdictMetrics,
}

impl fmt::Debug for Fraud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fraud(..)")
    }
}

impl Fraud {
    pub fn new(judge: Arc<dyn Judge>, metrics: VerdictMetrics) -> Self {
        Self { judge, metrics }
    }

    fn ask(&self, question: &[u8]) -> PortFuture<Answer> {
        let Self { judge, metrics } = self.clone();
        let question = Question::from_bytes(question);
        Box::pin(async move {
            let question = question.map_err(|error| InDoubt(error.to_string()))?;
            let verdict = judge.judge(question).await?;
            metrics.judged(&verdict);
            Ok(Answer::Done(verdict.to_bytes()))
        })
    }
}

impl PortAdapter for Fraud {
    fn port(&self) -> Port {
        PORT
    }

    fn retry_rule(&self) -> RetryRule {
        RetryRule::Idempotent { horizon: HORIZON }
    }

    fn invoke(&self, _: InvocationId, request: Vec<u8>) -> PortFuture<Answer> {
        self.ask(&request)
    }

    fn ask(&self, _: InvocationId, request: Vec<u8>) -> PortFuture<Option<Answer>> {
        let asked = Self::ask(self, &request);
        Box::pin(async move { asked.await.map(Some) })
    }
}
