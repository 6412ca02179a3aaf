//! Products in bulk: what an import makes of rows, and what an export gives back.

mod list;
mod tables;

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::shop::{Answer, Ask, Shop};

const IMPORTS: &str = "/admin/v1/imports";
const PATIENCE: Duration = Duration::from_secs(60);

async fn opened(shop: &Shop, format: &str) -> String {
    let body = json!({"format": format, "currency": "EUR"});
    let answer = shop.send(Ask::post(IMPORTS).operator().json(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["status"], "receiving");
    let path = format!("{IMPORTS}/{}", json["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(&*path));
    path
}

fn data(path: &str, bytes: impl Into<Vec<u8>>) -> Ask {
    Ask::new(Method::PUT, format!("{path}/data")).operator().body(Body::from(bytes.into()))
}

fn piece(path: &str, range: &str, bytes: &str) -> Ask {
    data(path, bytes).header("content-range", range)
}

/// The import once it has ended.
async fn ended(shop: &Shop, path: &str) -> Value {
    let look = async {
        loop {
            let json = shop.send(Ask::get(path).operator()).await.json();
            if json["status"] != "applying" {
                return json;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap()
}

async fn imported(shop: &Shop, format: &str, text: &str) -> (Value, Vec<Value>) {
    let path = opened(shop, format).await;
    let answer = shop.send(data(&path, text)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = ended(shop, &path).await;
    let errors = shop.send(Ask::get(format!("{path}/errors")).operator()).await;
    assert_eq!(errors.header("content-type"), Some("application/x-ndjson"));
    (json, lines(&errors))
}

fn lines(answer: &Answer) -> Vec<Value> {
    let text = std::str::from_utf8(&answer.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn counts(json: &Value) -> [u64; 3] {
    ["written", "unchanged", "refused"].map(|name| json[name].as_u64().unwrap())
}

fn tea(slug: &str, sku: &str, minor: i64) -> Value {
    json!({"slug": slug, "title": format!("Tea {slug}"), "status": "active", "variants": [
        {"sku": sku, "name": "Tea", "prices": [{"amount": minor, "currency": "EUR"}]}]})
}

fn rows(all: &[Value]) -> String {
    all.iter().map(|one| format!("{one}\n")).collect()
}

async fn exported(shop: &Shop, format: &str) -> String {
    let body = json!({"format": format});
    let answer = shop.send(Ask::post("/admin/v1/exports").operator().json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn good_rows_are_written_and_bad_ones_are_told() {
    let shop = Shop::open_empty().await;
    let text = format!(
        "\u{feff}{}\n\n{}\n{{\"slug\": \"x\"\n{}\n{}\n{}",
        tea("green", "t-1", 450),
        json!({"slug": "a b", "title": "x", "colour": "red"}),
        "{\"slug\": \"y\", \"title\": \"\u{e9}\"}",
        format_args!("{{\"slug\": \"{}\"}}", "x".repeat(1 << 20)),
        tea("black", "t-2", 500),
    );
    let (json, errors) = imported(&shop, "jsonl", &text).await;
    assert_eq!((json["status"].as_str(), counts(&json)), (Some("done"), [3, 0, 3]), "{json}");
    assert_eq!(json["rows"], 7);
    assert_eq!(json["applied_bytes"], json["received_bytes"]);
    let told: Vec<_> = errors.iter().map(|one| (one["row"].as_u64(), &one["code"])).collect();
    assert_eq!(
        told,
        [
            (Some(3), &json!("validation_failed")),
            (Some(4), &json!("invalid_json")),
            (Some(6), &json!("body_too_large")),
        ]
    );
    assert_eq!((&errors[0]["slug"], errors[1].get("slug")), (&json!("a b"), None));
    let params: Vec<_> = errors[0]["errors"].as_array().unwrap().iter().collect();
    assert!(params.iter().any(|fault| fault["param"] == "colour"), "{params:?}");
    let shown = shop.send(Ask::get("/admin/v1/products/green").operator()).await.json();
    assert_eq!(shown["variants"][0]["prices"][0]["amount"], 450);
    shop.close().await;
}

#[tokio::test]
async fn what_is_so_already_is_left_alone() {
    let shop = Shop::open_empty().await;
    let text = rows(&[tea("green", "t-1", 450), tea("black", "t-2", 500)]);
    let (first, _) = imported(&shop, "jsonl", &text).await;
    assert_eq!(counts(&first), [2, 0, 0], "{first}");
    let seq = |answer: Answer| answer.json()["seq"].clone();
    let before = seq(shop.send(Ask::get("/admin/v1/products/green").operator()).await);
    let text = rows(&[tea("green", "t-1", 450), tea("black", "t-2", 600)]);
    let (second, _) = imported(&shop, "jsonl", &text).await;
    assert_eq!(counts(&second), [1, 1, 0], "{second}");
    let after = seq(shop.send(Ask::get("/admin/v1/products/green").operator()).await);
    assert_eq!(before, after);
    shop.close().await;
}

#[tokio::test]
async fn later_rows_see_what_earlier_ones_did() {
    let shop = Shop::open_empty().await;
    let none = json!({"slug": "green", "title": "Green"});
    let all = [
        tea("green", "t-1", 450),
        // The same product again, and a SKU that is taken.
        tea("green", "t-1", 460),
        tea("black", "t-1", 500),
        // It is let go, and taken up by another.
        none,
        tea("white", "t-1", 700),
        tea("green", "t-9", 100),
    ];
    let (json, errors) = imported(&shop, "jsonl", &rows(&all)).await;
    assert_eq!(counts(&json), [5, 0, 1], "{json} {errors:?}");
    assert_eq!(errors[0]["code"], "sku_on_another_product");
    shop.close().await;
}

#[tokio::test]
async fn an_upload_goes_on_from_what_is_there() {
    let shop = Shop::open_empty().await;
    let text =
        rows(&(0..40).map(|n| tea(&format!("p{n}"), &format!("s{n}"), n)).collect::<Vec<_>>());
    let len = text.len();
    let path = opened(&shop, "jsonl").await;
    let first = shop.send(piece(&path, &format!("bytes 0-99/{len}"), &text[..100])).await.json();
    assert_eq!((&first["status"], &first["received_bytes"]), (&json!("receiving"), &json!(100)));
    let gap = shop.send(piece(&path, &format!("bytes 101-199/{len}"), &text[101..200])).await;
    assert!(gap.problem(409, "offset_mismatch")["detail"].as_str().unwrap().contains("100"));
    let short = shop.send(piece(&path, &format!("bytes 100-199/{len}"), &text[100..150])).await;
    short.problem(400, "content_range_invalid");
    let there = shop.send(Ask::get(&*path).operator()).await.json();
    assert_eq!(there["received_bytes"], 150, "what came is kept");
    shop.send(piece(&path, "bytes 150/9", "x")).await.problem(400, "content_range_invalid");
    // All of it again: what is there is passed over.
    let all = shop.send(data(&path, text.clone())).await;
    assert_eq!((all.status, &all.json()["received_bytes"]), (200, &json!(len)));
    assert_eq!(counts(&ended(&shop, &path).await), [40, 0, 0]);
    // And again, once it is complete.
    assert_eq!(shop.send(data(&path, text.clone())).await.status, 200);
    shop.send(data(&path, text + "x")).await.problem(409, "import_not_receiving");
    shop.close().await;
}

#[tokio::test]
async fn data_is_what_its_range_says_and_nothing_else() {
    let shop = Shop::open_empty().await;
    let path = opened(&shop, "csv").await;
    let long = shop.send(piece(&path, "bytes 0-9/40", &"x".repeat(25))).await;
    long.problem(400, "content_range_invalid");
    let there = shop.send(Ask::get(&*path).operator()).await.json();
    assert!(there["received_bytes"].as_u64().unwrap() <= 10, "{there}");
    let piece = || piece(&path, "bytes 0-3/9", "slug");
    shop.send(piece().key("k")).await.problem(400, "idempotency_key_invalid");
    for name in ["if-match", "if-none-match"] {
        shop.send(piece().header(name, "*")).await.problem(400, "if_match_unsupported");
    }
    assert_eq!(shop.send(piece()).await.json()["received_bytes"], 4);
    shop.close().await;
}

#[tokio::test]
async fn an_import_is_opened_once_under_a_key_and_can_be_cancelled() {
    let shop = Shop::open_empty().await;
    let open = || Ask::post(IMPORTS).operator().key("k-1").json(&json!({"format": "csv"}));
    let (first, again) = (shop.send(open()).await, shop.send(open()).await);
    assert_eq!((first.status, again.status, again.is_replayed()), (201, 201, true));
    assert_eq!(first.body, again.body);
    let path = first.header("location").unwrap().to_owned();
    let cancel = || Ask::post(format!("{path}/cancel")).operator().json(&json!({}));
    let cancelled = shop.send(cancel()).await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (200, &json!("cancelled")));
    assert_eq!(shop.send(cancel()).await.status, 200);
    shop.send(data(&path, "slug\na\n")).await.problem(409, "import_not_receiving");
    shop.close().await;
}

#[tokio::test]
async fn what_cannot_be_an_import_is_refused() {
    let shop = Shop::open_with(|settings| settings.import_bytes_max = 100).await;
    let path = opened(&shop, "csv").await;
    shop.send(data(&path, "")).await.problem(422, "import_empty");
    shop.send(data(&path, "x".repeat(101))).await.problem(413, "import_too_large");
    let declared = piece(&path, "bytes 0-200/201", "x");
    shop.send(declared).await.problem(413, "import_too_large");
    let zipped = data(&path, "x").header("content-encoding", "gzip");
    shop.send(zipped).await.problem(415, "unsupported_media_type");
    let json = data(&path, "x").header("content-type", "application/json");
    shop.send(json).await.problem(415, "unsupported_media_type");
    let bad = Ask::post(IMPORTS).operator().json(&json!({"format": "xml"}));
    shop.send(bad).await.problem(422, "validation_failed");
    let nobody = Ask::new(Method::PUT, format!("{path}/data"));
    shop.send(nobody).await.problem(401, "unauthorized");
    let other = format!("{IMPORTS}/imp_00000000000000000000000000");
    shop.send(Ask::get(other).operator()).await.problem(404, "import_not_found");
    shop.send(Ask::get(format!("{IMPORTS}/x")).operator()).await.problem(404, "import_not_found");
    shop.close().await;
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() {
    let shop = Shop::open_empty().await;
    assert_eq!(exported(&shop, "jsonl").await, "");
    assert_eq!(exported(&shop, "csv").await.lines().count(), 1, "the names of the columns");
    let rich = json!({"slug": "rich", "title": "Rich, \"new\"", "description": "Two\nlines",
        "attributes": [{"name": "Brand", "value": "Ann"}], "status": "archived",
        "media": [{"url": "/a.jpg", "alt": "A"}], "categories": ["a", "b"], "seller": "ann",
        "visibility": "hidden", "translations": [{"language": "de", "name": "Reich"}],
        "variants": [
            {"sku": "r-1", "name": "Rich", "tax_class": "food", "weight_grams": 5, "prices": [
                {"amount": 100, "currency": "EUR"}, {"amount": 200, "currency": "JPY"}],
                "options": [{"option": "Size", "value": "S"}]},
            {"sku": "r-2", "name": "Richer", "prices": []}]});
    let mut all: Vec<_> = (0..300).map(|n| tea(&format!("p{n}"), &format!("s{n}"), n)).collect();
    all.push(rich);
    all.push(json!({"slug": "bare", "title": "Bare"}));
    // More than a body may be, and more than a row of a table that is not a product's first.
    let prose = "\u{e9} \"quoted\",\n".repeat(800);
    let languages = ["da", "de", "el", "es", "et", "fi", "fr", "it", "nl", "pl", "pt", "sv"];
    let long = languages.map(|it| json!({"language": it, "name": "x", "description": prose}));
    all.push(json!({"slug": "long", "title": "Long", "translations": long}));
    // Blanks belong to a text, and what a spreadsheet would carry out is one.
    for (nth, title) in ["=1+1", "-1", "'+x", " led by one", "followed ", " "].iter().enumerate() {
        let mut product = tea(&format!("-t{nth}"), &format!("-u{nth}"), 1);
        product["title"] = json!(title);
        product["description"] = json!(format!("\t{title}\n"));
        product["categories"] = json!(["-a", "b"]);
        product["variants"][0]["name"] = json!(title);
        all.push(product);
    }
    let n_all = all.len();
    let (first, errors) = imported(&shop, "jsonl", &rows(&all)).await;
    assert_eq!(counts(&first), [n_all as u64, 0, 0], "{errors:?}");
    let (lines, table) = (exported(&shop, "jsonl").await, exported(&shop, "csv").await);
    assert_eq!(lines.lines().count(), n_all);
    assert!(lines.lines().any(|line| line.len() > 128 << 10));
    assert!(table.contains("\r\n'-t0,'=1+1,"), "{}", &table[..1_000]);
    for (format, text) in [("jsonl", &lines), ("csv", &table)] {
        let (again, errors) = imported(&shop, format, text).await;
        assert_eq!(counts(&again), [0, n_all as u64, 0], "{format} {errors:?}");
    }
    let other = Shop::open_empty().await;
    let (json, errors) = imported(&other, "csv", &table).await;
    assert_eq!(counts(&json), [n_all as u64, 0, 0], "{errors:?}");
    assert_eq!(exported(&other, "jsonl").await, lines);
    other.close().await;
    shop.close().await;
}

#[tokio::test]
async fn an_import_of_many_steps_counts_each_row_once() {
    let shop = Shop::open_empty().await;
    // Enough for several steps and several parts, with an error here and there.
    let all: Vec<_> = (0..2_500)
        .map(|n| match n % 10 {
            0 => json!({"slug": format!("p{n}")}),
            _ => tea(&format!("p{n}"), &format!("s{n}"), n),
        })
        .collect();
    let (json, errors) = imported(&shop, "jsonl", &rows(&all)).await;
    assert_eq!((&json["status"], counts(&json)), (&json!("done"), [2_250, 0, 250]));
    let told: Vec<_> = errors.iter().map(|one| one["row"].as_u64().unwrap()).collect();
    assert_eq!(told, (0..250).map(|n| n * 10 + 1).collect::<Vec<_>>());
    shop.close().await;
}

#[tokio::test]
async fn rows_with_nothing_in_them_are_passed_over_however_many() {
    let shop = Shop::open_empty().await;
    let blank = "\n".repeat(150_000);
    let text = format!("{blank}{}\n{blank}", tea("green", "t-1", 450));
    let (json, _) = imported(&shop, "jsonl", &text).await;
    assert_eq!((counts(&json), &json["rows"]), ([1, 0, 0], &json!(300_001)));
    let blank = ",,\n".repeat(150_000);
    let text = format!("slug,title,status\n{blank}a,A,\n{blank}b,B,\n{blank}");
    let (json, errors) = imported(&shop, "csv", &text).await;
    assert_eq!((counts(&json), &json["rows"]), ([2, 0, 0], &json!(450_003)), "{errors:?}");
    let (json, _) = imported(&shop, "jsonl", &"x".repeat(20 << 20)).await;
    assert_eq!(
        (&json["status"], &json["failure"]),
        (&json!("failed"), &json!("row 1 does not end"))
    );
    shop.close().await;
}

#[tokio::test]
async fn an_import_has_so_many_rows_at_most() {
    let few = |settings: &mut edge::http::app::Settings| settings.import_rows_max = 3;
    let shop = Shop::open_empty_with(few).await;
    let all: Vec<_> = (0..4).map(|n| tea(&format!("p{n}"), &format!("s{n}"), n)).collect();
    let (json, _) = imported(&shop, "jsonl", &rows(&all[..3])).await;
    assert_eq!((&json["status"], counts(&json)), (&json!("done"), [3, 0, 0]));
    let (json, _) = imported(&shop, "jsonl", &rows(&all)).await;
    assert_eq!((&json["status"], counts(&json)), (&json!("failed"), [0, 3, 0]));
    // Rows of one product count too, and such a one is not written by half.
    let variant = |n: usize| format!("p,P,v{n},V\n");
    let table = |n| format!("slug,title,sku,name\n{}", (0..n).map(variant).collect::<String>());
    let (json, _) = imported(&shop, "csv", &table(10)).await;
    assert_eq!((&json["status"], counts(&json)), (&json!("failed"), [0, 0, 0]), "{json}");
    assert_eq!(json["failure"], "there are more rows than an import may have");
    let (json, _) = imported(&shop, "csv", &table(2)).await;
    assert_eq!((&json["status"], counts(&json)), (&json!("done"), [1, 0, 0]), "{json}");
    shop.close().await;
}

#[tokio::test]
async fn what_becomes_of_imports_is_counted() {
    let shop = Shop::open_empty().await;
    let counted = async || {
        let metrics = shop.send(Ask::get("/metrics")).await;
        let text = String::from_utf8(metrics.body.to_vec()).unwrap();
        let is_ours = |line: &&str| line.starts_with("omnicart_edge_import");
        let mut lines: Vec<_> = text.lines().filter(is_ours).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        counted().await,
        ["omnicart_edge_import_rows_total 0", "omnicart_edge_imports_running 0"]
    );
    let text = rows(&[tea("green", "t-1", 450), json!({"slug": "x"}), tea("black", "t-2", 500)]);
    imported(&shop, "jsonl", &text).await;
    imported(&shop, "jsonl", &rows(&[tea("green", "t-1", 450)])).await;
    let (json, _) = imported(&shop, "csv", "colour\nred\n").await;
    assert_eq!(json["status"], "failed");
    let expected = [
        "omnicart_edge_import_products_total{outcome=\"refused\"} 1",
        "omnicart_edge_import_products_total{outcome=\"unchanged\"} 1",
        "omnicart_edge_import_products_total{outcome=\"written\"} 2",
        "omnicart_edge_import_rows_total 4",
        "omnicart_edge_imports_ended_total{outcome=\"done\"} 2",
        "omnicart_edge_imports_ended_total{outcome=\"failed\"} 1",
        "omnicart_edge_imports_running 0",
    ];
    assert_eq!(counted().await, expected);
    shop.close().await;
}
