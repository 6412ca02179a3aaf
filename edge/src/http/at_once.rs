//! Many questions asked at once.

use std::future::Future;

use tokio::task::JoinSet;

use super::error::ApiError;

/// What each comes to, in their order.
pub(super) async fn all_at_once<I, F>(
    some: impl IntoIterator<Item = I>,
    ask: impl Fn(I) -> F,
) -> Result<Vec<F::Output>, ApiError>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for (nth, one) in some.into_iter().enumerate() {
        let asked = ask(one);
        under_way.spawn(async move { (nth, asked.await) });
    }
    let mut answers = Vec::with_capacity(under_way.len());
    while let Some(done) = under_way.join_next().await {
        answers.push(done.map_err(|_| ApiError::internal())?);
    }
    answers.sort_unstable_by_key(|(nth, _)| *nth);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}
