use std::sync::Arc;

use actors::domain::import::{
    Command, Counts, Cursor, Format, Reached, StepAnswer, StepOutcome, Terms,
};
use actors::{BookReader, Currency, ImportId};
use cluster::runtime::node::{Node, NodeConfig};
use prometheus_client::registry::Registry;

use super::*;
use crate::http::fields;
use crate::http::imports::packed;
use crate::http::routes::products::document::Product;

/// A node without anyone who applies imports: the test is what does.
async fn node(folder: &tempfile::TempDir) -> Node {
    let config = NodeConfig {
        n_shards: Some(1),
        segment_bytes: 1 << 20,
        reader: Some(Arc::new(BookReader)),
        ..NodeConfig::new(folder.path().to_owned(), actors::all_kinds())
    };
    let node = Node::start(config, &mut Registry::default()).await.unwrap();
    node.ready().await;
    node
}

async fn send(fabric: &Fabric, import: ImportId, command: Command) {
    let deadline = now().plus(READ_MAX);
    let envelope = Envelope { deadline, key: None, precondition: Precondition::None };
    fabric.execute::<Import>(import.key(), envelope, command).await.unwrap();
}

/// An import of two rows, both of which are to be applied.
async fn opened(fabric: &Fabric) -> Step {
    let import = ImportId::from_bytes([7; 16]);
    let (format, currency) = (Format::JsonLines, Currency::EURO);
    let terms = Terms { format, currency, bytes_max: 100, rows_max: 100 };
    send(fabric, import, Command::Open { terms: terms.clone() }).await;
    let content = packed(b"12").unwrap();
    send(fabric, import, Command::Append { offset: 0, content }).await;
    send(fabric, import, Command::Complete { bytes: 2 }).await;
    Step { import, terms, from: Cursor::default(), n_parts: 1 }
}

/// Says that the first row is applied.
async fn advanced(fabric: &Fabric, step: &Step) -> Step {
    let to = Cursor { part: 0, offset: 1, bytes: 1, rows: 1 };
    let (counts, reports) = (Counts { written: 1, ..Counts::default() }, Vec::new());
    let outcome = StepOutcome::Advanced { to, counts, reports, reached: Reached::More };
    let answer = StepAnswer { from: step.from, outcome };
    send(fabric, step.import, Command::Answered(answer)).await;
    Step { from: to, ..step.clone() }
}

fn titled(title: &str) -> Vec<(usize, Arc<Draft>)> {
    let json = serde_json::json!({"slug": "tea", "title": title, "variants": [
        {"sku": "tea-1", "name": title, "prices": [{"amount": 1, "currency": "EUR"}]}]});
    let product = fields::read::<Product>(json.to_string().as_bytes()).and_then(Product::whole);
    let Ok((page, variants)) = product else { panic!("{json} is no product") };
    vec![(0, Arc::new(Draft { page, variants, collides: false }))]
}

async fn written(fabric: &Fabric, turn: Option<Turn>) -> bool {
    let outcomes = turn.unwrap().write(fabric, now()).await.unwrap();
    let [(0, _, outcome)] = &outcomes[..] else { panic!("one product was to be written") };
    match outcome {
        Outcome::Written(_) => true,
        Outcome::Again => false,
        Outcome::Refused(error) => panic!("{error:?}"),
    }
}

async fn title(fabric: &Fabric) -> String {
    let key = titled("x")[0].1.page.slug.key();
    let query = fabric.query::<ProductPage>(key, &[], now().plus(READ_MAX), page::Query::Page);
    let page::Lookup(page) = query.await.unwrap().view;
    page.unwrap().title.to_string()
}

#[tokio::test]
async fn what_an_overtaken_step_sends_late_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder).await;
    let fabric = node.fabric();
    let first = opened(&fabric).await;
    let held = Turn::begin(&fabric, &first, titled("row 1")).await.unwrap();
    // Another attempt at the same step, and the step after it.
    let other = Turn::begin(&fabric, &first, titled("row 1")).await.unwrap();
    assert!(written(&fabric, other).await);
    let second = advanced(&fabric, &first).await;
    let later = Turn::begin(&fabric, &second, titled("row 2")).await.unwrap();
    assert!(written(&fabric, later).await);
    assert!(!written(&fabric, held).await);
    assert!(Turn::begin(&fabric, &first, titled("row 1")).await.unwrap().is_none());
    assert_eq!(title(&fabric).await, "row 2");
    node.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_after_the_end_of_a_turn() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder).await;
    let fabric = node.fabric();
    let first = opened(&fabric).await;
    let turn = Turn::begin(&fabric, &first, titled("row 1")).await.unwrap();
    let late = turn.map(|turn| Turn { deadline: now(), ..turn });
    assert!(!written(&fabric, late).await);
    let again = Turn::begin(&fabric, &first, titled("row 1")).await.unwrap();
    assert!(written(&fabric, again).await);
    node.stop().await;
}
