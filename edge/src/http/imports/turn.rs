//! A turn at writing: some products of a step, as long as it is the one under way.
//!
//! **Invariants:** of each product the sequence is read first, then the import is asked whether it
//! waits for this very step, and only then the product is written, bound to that sequence. A later
//! step begins when the import waits for another, so what it wrote has moved the sequence on: what is
//! left of this one, however late it arrives, changes nothing that a later row said. Nothing is
//! decided after the turn's deadline either, which is fixed before the import is asked.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use actors::domain::import::{Lookup, Query, State, Step, View};
use actors::domain::page::{self, Command, Page, Rejection};
use actors::{Import, Listing, ProductPage};
use cluster::fabric::{CommandError, Envelope, Executed, Fabric, Precondition};
use cluster::ids::Position;
use cluster::runtime::ports::InDoubt;
use cluster::time::{Span, Timestamp};
use tokio::task::JoinSet;

use crate::http::app::now;
use crate::http::error::ApiError;
use crate::http::refusals;

/// How long a turn may take.
pub(super) const ROW_MAX: Span = Span::from_secs(5);
pub(super) const PAUSE: Duration = Duration::from_millis(20);
pub(super) const PAUSE_WHEN_BUSY: Duration = Duration::from_millis(200);
const READ_MAX: Span = Span::from_secs(10);

/// A product on its way.
pub(super) struct Draft {
    pub(super) page: Page,
    pub(super) variants: Vec<Listing>,
    /// Whether the book has one of the variants on another product.
    pub(super) collides: bool,
}

pub(super) enum Outcome {
    Written(Position),
    Refused(ApiError),
    /// Something else wrote it meanwhile, or the turn was over: it takes another one.
    Again,
}

pub(super) struct Turn {
    /// Their place in the step, and the sequence they are written at.
    drafts: Vec<(usize, Arc<Draft>, u64)>,
    deadline: Timestamp,
}

impl Turn {
    /// `None` if the step was overtaken.
    pub(super) async fn begin(
        fabric: &Fabric,
        step: &Step,
        drafts: Vec<(usize, Arc<Draft>)>,
    ) -> Result<Option<Self>, InDoubt> {
        let deadline = now().plus(ROW_MAX);
        let drafts = with_sequences(fabric, drafts, deadline).await?;
        Ok(is_under_way(fabric, step).await?.then_some(Self { drafts, deadline }))
    }

    /// All at the same time. Before `settled` nodes may differ in whose a SKU is.
    pub(super) async fn write(
        self,
        fabric: &Fabric,
        settled: Timestamp,
    ) -> Result<Vec<(usize, Arc<Draft>, Outcome)>, InDoubt> {
        let deadline = self.deadline;
        each(self.drafts, |(nth, draft, seq)| {
            let fabric = fabric.clone();
            async move {
                let outcome = write(&fabric, &draft, seq, deadline, settled).await;
                Ok((nth, draft, outcome))
            }
        })
        .await
    }
}

/// Whether the import waits for this very step.
pub(super) async fn is_under_way(fabric: &Fabric, step: &Step) -> Result<bool, InDoubt> {
    let deadline = now().plus(READ_MAX);
    let query = fabric.query::<Import>(step.import.key(), &[], deadline, Query::Import);
    let read =
        query.await.map_err(|error| InDoubt(format!("an import cannot be read: {error}")))?;
    let Lookup(view) = read.view;
    Ok(view.is_some_and(|View { state, done, .. }| state == State::Applying && done == step.from))
}

async fn with_sequences(
    fabric: &Fabric,
    drafts: Vec<(usize, Arc<Draft>)>,
    deadline: Timestamp,
) -> Result<Vec<(usize, Arc<Draft>, u64)>, InDoubt> {
    each(drafts, |(nth, draft)| {
        let fabric = fabric.clone();
        async move {
            let key = draft.page.slug.key();
            let query = fabric.query::<ProductPage>(key, &[], deadline, page::Query::Page);
            let read = query.await;
            let read =
                read.map_err(|error| InDoubt(format!("a product cannot be read: {error}")))?;
            Ok((nth, draft, read.provenance.seq))
        }
    })
    .await
}

/// What is made of each of them, all at the same time and in any order.
async fn each<T, U, Doing>(all: Vec<T>, make: impl Fn(T) -> Doing) -> Result<Vec<U>, InDoubt>
where
    U: Send + 'static,
    Doing: Future<Output = Result<U, InDoubt>> + Send + 'static,
{
    let mut made = Vec::with_capacity(all.len());
    let mut under_way: JoinSet<_> = all.into_iter().map(make).collect();
    while let Some(done) = under_way.join_next().await {
        made.push(done.map_err(|_| InDoubt("a row was cut short".to_owned()))??);
    }
    Ok(made)
}

/// Until it is written or refused by a rule, or the turn is over.
async fn write(
    fabric: &Fabric,
    draft: &Draft,
    seq: u64,
    deadline: Timestamp,
    settled: Timestamp,
) -> Outcome {
    let Draft { page, variants, collides } = draft;
    while now() < deadline {
        let envelope = Envelope { deadline, key: None, precondition: Precondition::Seq(seq) };
        let (key, page) = (page.slug.key(), Box::new(page.clone()));
        let command = Command::Put { page, variants: variants.clone() };
        let error = match fabric.execute::<ProductPage>(key, envelope, command).await {
            Ok(Executed { provenance, .. }) => return Outcome::Written(provenance.position),
            Err(error) => error,
        };
        let pause = match &error {
            CommandError::PreconditionFailed { .. } => return Outcome::Again,
            CommandError::Unavailable(_) => PAUSE_WHEN_BUSY,
            CommandError::Rejected { rejection: Rejection::CatalogueUnavailable, .. } => {
                PAUSE_WHEN_BUSY
            }
            // Whoever decides may not have seen yet that the other product let it go.
            CommandError::Rejected { rejection: Rejection::OnAnotherPage { .. }, .. }
                if !collides && now() < settled =>
            {
                PAUSE
            }
            CommandError::Rejected { .. }
            | CommandError::KeyConflict
            | CommandError::ReplyExpired
            | CommandError::TooManyKeys
            | CommandError::RecordFull
            | CommandError::Panicked => {
                let resource = String::new;
                let refused = refusals::of_page;
                let error = ApiError::from_command::<ProductPage>(error, false, resource, refused);
                return Outcome::Refused(error);
            }
        };
        tokio::time::sleep(pause).await;
    }
    Outcome::Again
}
