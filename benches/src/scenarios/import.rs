//! A large import of products, killed in the middle, and an export of what came of it.
//!
//! **Invariants:** this program holds neither all rows nor the export: a row is made again to be
//! compared with.

mod exported;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use exported::{Exported, Seen};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::clock;
use tokio::net::TcpStream;

use crate::arguments::{Common, Import};
use crate::load::client::{Call, Caller};
use crate::peers::folder::Folder;
use crate::peers::omnicart::{Omnicart, as_operator};
use crate::peers::process::Process;
use crate::report::{Report, progress};
use crate::{figures, machine};

const PIECE_BYTES: usize = 4 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// An import that stands still for so long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the server shows of an import.
#[derive(Clone, Debug, Deserialize)]
struct Shown {
    status: String,
    received_bytes: u64,
    rows: u64,
    written: u64,
    unchanged: u64,
    refused: u64,
}

#[derive(Debug, Serialize)]
struct Kill {
    rows_before: u64,
    rows_after: u64,
    ready_seconds: f64,
    resumed_seconds: f64,
    again: u64,
}

pub(crate) async fn run(
    common: &Common,
    asked: &Import,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let rows = Rows::new(asked)?;
    let omnicart = Omnicart::in_folder(common.omnicart.as_deref(), folder)?;
    let process = omnicart.start().await?;
    report.add("idle_resident_bytes", machine::peak_resident_bytes(process.pid())?)?;
    let started = clock::monotonic();
    let mut caller = Caller::new(process.address());
    let open = Call::new(Method::POST, "/admin/v1/imports").json(&json!({"format": "jsonl"}));
    let opened: Value =
        caller.send(&as_operator(open)?).await?.expect(StatusCode::CREATED)?.json()?;
    let path = format!("/admin/v1/imports/{}", text_at(&opened, "/id").context("an id")?);
    progress(&format!("import: sending {} rows", rows.count));
    let bytes = upload(&mut caller, &path, &rows).await?;
    let uploaded = started.elapsed();
    let mut run = Run { omnicart, process: Some(process), path, peak: 0, down: Duration::ZERO };
    let mut kills = Vec::new();
    for nth in 1..=asked.kills {
        let at = u64::from(rows.count) * u64::from(nth) / u64::from(asked.kills + 1);
        kills.extend(run.kill_past(at).await?);
    }
    let n_struck = u64::try_from(kills.len()).unwrap_or(u64::MAX);
    progress("import: waiting for the end");
    let done = run.until(|shown| shown.status != "applying").await?;
    let took = started.elapsed();
    let applied = took.saturating_sub(uploaded).saturating_sub(run.down);
    progress("import: exporting");
    let exporting = clock::monotonic();
    let exported = export(run.address()?, &rows).await?;
    report.add("export_seconds", figures::seconds(exporting.elapsed()))?;
    run.look_at_memory()?;
    progress("import: a start on what came of it");
    report.add("catalogue_resident_bytes", run.restart().await?)?;
    report.add("rows", rows.count)?;
    report.add("bytes", bytes)?;
    report.add("upload_seconds", figures::seconds(uploaded))?;
    report.add("upload_bytes_per_second", figures::per_second(bytes, uploaded))?;
    report.add("apply_seconds", figures::seconds(applied))?;
    report.add("rows_per_second", figures::per_second(done.rows, applied))?;
    report.add("seconds", figures::seconds(took))?;
    report.add("kills", &kills)?;
    report.add("peak_resident_bytes", run.peak)?;
    report.add("status", &done.status)?;
    report.add("written", done.written)?;
    report.add("unchanged", done.unchanged)?;
    report.add("refused", done.refused)?;
    report.add("exported", exported.lines)?;
    report.add("missing", exported.missing)?;
    report.add("differing", exported.differing)?;
    report.add("doubled", exported.doubled)?;
    report.add("errors", done.refused)?;
    report.broken_if(done.status != "done" || !exported.is_whole() || done.refused > 0);
    // A run in which nothing was killed says nothing of what a kill does.
    report.broken_if(n_struck < u64::from(asked.kills));
    Ok(())
}

/// The server that applies the import, one process after the other.
struct Run {
    omnicart: Omnicart,
    process: Option<Process>,
    path: String,
    peak: u64,
    /// How long there was none that served.
    down: Duration,
}

impl Run {
    fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.process.as_ref().context("a server runs")?.address())
    }

    fn look_at_memory(&mut self) -> anyhow::Result<()> {
        let pid = self.process.as_ref().context("a server runs")?.pid();
        self.peak = self.peak.max(machine::peak_resident_bytes(pid)?);
        Ok(())
    }

    /// What a process needs that holds the catalogue and imports nothing.
    async fn restart(&mut self) -> anyhow::Result<u64> {
        self.process.take().context("a server runs")?.kill()?;
        let process = self.omnicart.start().await?;
        let address = process.address();
        self.process = Some(process);
        let list = as_operator(Call::new(Method::GET, "/admin/v1/products?limit=1"))?;
        Caller::new(address).send(&list).await?.expect(StatusCode::OK)?;
        let pid = self.process.as_ref().context("a server runs")?.pid();
        machine::resident_bytes_of(pid)
    }

    async fn shown(&self) -> anyhow::Result<Shown> {
        let call = as_operator(Call::new(Method::GET, &self.path))?;
        Caller::new(self.address()?).send(&call).await?.expect(StatusCode::OK)?.json()
    }

    /// The import once that is so; it must not stand still before.
    async fn until(&self, so: impl Fn(&Shown) -> bool) -> anyhow::Result<Shown> {
        let (mut rows, mut moved) = (0, clock::monotonic());
        loop {
            let shown = self.shown().await?;
            if so(&shown) {
                return Ok(shown);
            }
            if shown.rows > rows {
                (rows, moved) = (shown.rows, clock::monotonic());
            }
            anyhow::ensure!(moved.elapsed() < PATIENCE, "the import stands still: {shown:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// kill -9 once so many rows are applied, then a start; nothing if that struck no import.
    async fn kill_past(&mut self, rows: u64) -> anyhow::Result<Option<Kill>> {
        let is_over = |shown: &Shown| shown.status != "applying";
        let before = self.until(|shown| shown.rows >= rows || is_over(shown)).await?;
        if is_over(&before) {
            return Ok(None);
        }
        self.look_at_memory()?;
        progress(&format!("import: kill -9 after {} rows", before.rows));
        let killed: Instant = clock::monotonic();
        self.process.take().context("a server runs")?.kill()?;
        self.process = Some(self.omnicart.start().await?);
        let ready = killed.elapsed();
        self.down += ready;
        let after = self.shown().await?;
        if is_over(&after) {
            return Ok(None);
        }
        let resumed = self.until(|shown| shown.rows > after.rows || is_over(shown)).await?;
        Ok(Some(Kill {
            rows_before: before.rows,
            rows_after: after.rows,
            ready_seconds: figures::seconds(ready),
            resumed_seconds: figures::seconds(killed.elapsed()),
            again: resumed.unchanged.saturating_sub(after.unchanged),
        }))
    }
}

/// Sends everything in pieces; says how many bytes that was.
async fn upload(caller: &mut Caller, path: &str, rows: &Rows) -> anyhow::Result<u64> {
    let mut piece = String::with_capacity(PIECE_BYTES * 2);
    let mut sent: u64 = 0;
    for nth in 0..rows.count {
        piece.push_str(&rows.line(nth));
        let is_last = nth + 1 == rows.count;
        if piece.len() < PIECE_BYTES && !is_last {
            continue;
        }
        let end = sent + piece.len() as u64;
        let whole = if is_last { end.to_string() } else { "*".to_owned() };
        let range = format!("bytes {sent}-{}/{whole}", end - 1);
        let mut call = as_operator(Call::new(Method::PUT, format!("{path}/data")))?
            .header("content-range", &range)?
            .header("content-type", "application/x-ndjson")?;
        call.body = Bytes::from(std::mem::take(&mut piece));
        let shown: Shown = caller.send(&call).await?.expect(StatusCode::OK)?.json()?;
        anyhow::ensure!(shown.received_bytes == end, "not all of it was received: {shown:?}");
        sent = end;
    }
    Ok(sent)
}

/// Reads an export line by line.
async fn export(address: SocketAddr, rows: &Rows) -> anyhow::Result<Exported> {
    let stream = TcpStream::connect(address).await.context("cannot connect")?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(driver);
    let call = as_operator(Call::new(Method::POST, "/admin/v1/exports"))?
        .json(&json!({"format": "jsonl"}));
    let mut request = Request::new(Full::new(call.body));
    *request.method_mut() = call.method;
    *request.uri_mut() = call.path.parse()?;
    *request.headers_mut() = call.headers;
    request.headers_mut().insert("host", address.to_string().parse()?);
    request.headers_mut().insert("content-type", "application/json".parse()?);
    let response = sender.send_request(request).await?;
    anyhow::ensure!(response.status() == StatusCode::OK, "answered {}", response.status());
    let (mut body, mut held) = (response.into_body(), Vec::new());
    let mut seen = Seen::of(rows);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        held.extend_from_slice(&data);
        let mut begin = 0;
        while let Some(len) =
            held.get(begin..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line = held.get(begin..begin + len).unwrap_or_default();
            seen.line(rows, line);
            begin += len + 1;
        }
        held.drain(..begin);
    }
    driving.abort();
    Ok(seen.exported)
}

/// The rows, made one by one.
struct Rows {
    count: u32,
    titles: Vec<String>,
}

impl Rows {
    fn new(asked: &Import) -> anyhow::Result<Self> {
        let titles = match &asked.titles {
            Some(file) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?,
            None => "Green tea\nStoneware cup\nGlass pot\nTravel kettle\nPaper lantern".to_owned(),
        };
        let titles: Vec<_> =
            titles.lines().filter(|it| !it.is_empty()).map(str::to_owned).collect();
        anyhow::ensure!(!titles.is_empty(), "there are no titles");
        Ok(Self { count: asked.rows.get(), titles })
    }

    fn title(&self, nth: u32) -> String {
        let at = usize::try_from(nth).unwrap_or(0) % self.titles.len();
        let title = self.titles.get(at).map_or("", |title| title.as_str());
        format!("{} {nth}", title.chars().take(120).collect::<String>())
    }

    fn line(&self, nth: u32) -> String {
        let title = self.title(nth);
        let description = format!(
            "{title}: made with care, packed in paper, and sent the day it is ordered. \
             Wash by hand; keep dry. Article {nth} of this season."
        );
        let product = json!({
            "slug": format!("product-{nth:07}"),
            "title": title,
            "description": description,
            "attributes": [{"name": "Brand", "value": format!("Maker {}", nth % 500)}],
            "media": [{"url": format!("/media/{nth}.jpg"), "alt": title}],
            "categories": [format!("category-{}", nth % 200)],
            "status": "active",
            "variants": [{
                "sku": format!("SKU-{nth:07}"),
                "name": title,
                "prices": [{"amount": 100 + nth % 10_000, "currency": "EUR"}],
                "weight_grams": nth % 5_000,
            }],
        });
        format!("{product}\n")
    }

    /// The row that a line of an export is of, if it says of the product what the row did.
    fn as_sent(&self, line: &[u8]) -> Option<u32> {
        let product = serde_json::from_slice::<Value>(line).ok()?;
        let slug = text_at(&product, "/slug")?;
        let nth: u32 = slug.strip_prefix("product-")?.parse().ok()?;
        let price = product.pointer("/variants/0/prices/0/amount").and_then(Value::as_u64);
        let is_so = nth < self.count
            && slug == format!("product-{nth:07}")
            && text_at(&product, "/title") == Some(&*self.title(nth))
            && text_at(&product, "/variants/0/sku") == Some(&*format!("SKU-{nth:07}"))
            && price == Some(u64::from(100 + nth % 10_000));
        is_so.then_some(nth)
    }
}

fn text_at<'a>(json: &'a Value, pointer: &str) -> Option<&'a str> {
    json.pointer(pointer)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_known_again_and_no_other_is() {
        let count = std::num::NonZero::new(9).unwrap();
        let rows = Rows::new(&Import { rows: count, kills: 0, titles: None }).unwrap();
        assert_eq!(rows.as_sent(rows.line(7).trim_end().as_bytes()), Some(7));
        let other = rows.line(7).replace("SKU-0000007", "SKU-0000008");
        for none in [&*other, "{}", &rows.line(9), &rows.line(7).replace("product-0", "product-+")]
        {
            assert_eq!(rows.as_sent(none.trim_end().as_bytes()), None, "{none}");
        }
    }
}
