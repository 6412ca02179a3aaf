//! What an import makes of a table.

use serde_json::json;

use super::{counts, ended, imported, opened, piece};
use crate::shop::{Ask, Shop};

#[tokio::test]
async fn a_table_that_cannot_be_read_says_why() {
    let shop = Shop::open_empty().await;
    for (text, why) in [
        ("name,price\na,1\n", "there is no column slug, nor Handle"),
        ("slug,title,colour\na,A,red\n", "there is no column colour"),
        ("slug,title,title\na,A,A\n", "column title is there twice"),
        ("slug,title\na,\"A\nb,B\n", "row 2 does not end; a quote may be missing"),
    ] {
        let (json, _) = imported(&shop, "csv", text).await;
        assert_eq!((&json["status"], &json["failure"]), (&json!("failed"), &json!(why)));
    }
    // A reason is cut where a character ends, however long the names are.
    for name in ["\u{540d}".repeat(100), format!("x{}", "\u{540d}".repeat(1_000))] {
        let (json, _) = imported(&shop, "csv", &format!("slug,{name},{name}\na,1,2\n")).await;
        assert_eq!(json["status"], "failed", "{json}");
        let why = json["failure"].as_str().unwrap();
        assert!(why.starts_with("column ") && why.ends_with(" is there twice"), "{why}");
    }
    shop.close().await;
}

#[tokio::test]
async fn what_comes_before_an_unreadable_place_is_written() {
    let shop = Shop::open_empty().await;
    let text = "slug,title\na,A\nb,B\nc,\"C\n";
    let (json, _) = imported(&shop, "csv", text).await;
    assert_eq!(json["failure"], "row 4 does not end; a quote may be missing");
    // The place may be one more row of b, so of that too little is known.
    assert_eq!((counts(&json), &json["rows"]), ([1, 0, 0], &json!(2)), "{json}");
    let shown = shop.send(Ask::get("/admin/v1/products/a").operator()).await.json();
    assert_eq!(shown["title"], "A");
    shop.send(Ask::get("/admin/v1/products/b").operator()).await.problem(404, "product_not_found");
    shop.close().await;
}

#[tokio::test]
async fn the_names_of_the_columns_may_come_in_several_pieces() {
    let shop = Shop::open_empty().await;
    let prose = "of some length ".repeat(8);
    let row = |n: usize| format!("p{n},Product {n},{prose}\n");
    let text: String = (0..2_500).map(row).collect();
    let text = format!("slug,title,description\n{text}");
    let len = text.len();
    let path = opened(&shop, "csv").await;
    let first = shop.send(piece(&path, &format!("bytes 0-4/{len}"), &text[..5])).await;
    assert_eq!(first.json()["received_bytes"], 5);
    let rest = piece(&path, &format!("bytes 5-{}/{len}", len - 1), &text[5..]);
    assert_eq!(shop.send(rest).await.status, 200);
    let json = ended(&shop, &path).await;
    assert_eq!((&json["status"], counts(&json)), (&json!("done"), [2_500, 0, 0]), "{json}");
    shop.close().await;
}

#[tokio::test]
async fn a_table_of_ours_is_imported_row_by_row() {
    let shop = Shop::open_empty().await;
    let text = "slug,title,status,categories,sku,name,price,weight_grams,options\r\n\
        shirt,Shirt,active,\"a,b\",s-1,Shirt S,19.90,200,\
        \"[{\"\"option\"\":\"\"Size\"\",\"\"value\"\":\"\"S\"\"}]\"\r\n\
        shirt,,,,s-2,Shirt M,20,,\r\n\
        ,,,,,,,,\r\n\
        bad,Bad,active,,b-1,Bad,1.999,,\r\n\
        short,Short\r\n\
        cup,Cup,,,c-1,Cup,3,,\r\n";
    let (json, errors) = imported(&shop, "csv", text).await;
    assert_eq!((counts(&json), &json["rows"]), ([2, 0, 2], &json!(7)), "{errors:?}");
    let told: Vec<_> = errors.iter().map(|one| (&one["row"], &one["slug"])).collect();
    assert_eq!(told, [(&json!(5), &json!("bad")), (&json!(6), &json!("short"))]);
    let shirt = shop.send(Ask::get("/admin/v1/products/shirt").operator()).await.json();
    assert_eq!(shirt["categories"], json!(["a", "b"]));
    let prices: Vec<_> = [0, 1].map(|nth| &shirt["variants"][nth]["prices"][0]["amount"]).into();
    assert_eq!(prices, [&json!(1990), &json!(2000)]);
    assert_eq!(shirt["variants"][0]["options"], json!([{"option": "Size", "value": "S"}]));
    shop.close().await;
}

#[tokio::test]
async fn a_table_of_shopifys_is_imported() {
    let shop = Shop::open_empty().await;
    let text = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,\
        Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,\
        Variant Taxable,Image Src,Image Position,Image Alt Text,Status,Color (product.metafields)\n\
        mug,Mug,\"<p>A <b>mug</b></p>\r\n\",Ann,Cups,\"a, b\",TRUE,Size,Small,,250,3,12.50,15.00,\
        true,https://cdn.example/2.jpg,2,,active,red\n\
        mug,,,,,,,,Large,M-L,300,1,14,,false,https://cdn.example/1.jpg,1,In front,,\n\
        mug,,,,,,,,,,,,,,,https://cdn.example/3.jpg,3,,,\n\
        card,Card,,,,,FALSE,Title,Default Title,,0,,5.00,,true,,,,draft,\n";
    let (json, errors) = imported(&shop, "csv", text).await;
    assert_eq!(counts(&json), [2, 0, 0], "{errors:?}");
    let mug = shop.send(Ask::get("/admin/v1/products/mug").operator()).await.json();
    assert_eq!((&mug["status"], &mug["visibility"]), (&json!("active"), &json!("listed")));
    assert_eq!(mug["description"], "<p>A <b>mug</b></p>");
    assert_eq!(mug["attributes"][2], json!({"name": "Tags", "value": "a, b"}));
    let urls: Vec<_> = [0, 1, 2].map(|nth| mug["media"][nth]["url"].as_str().unwrap()).into();
    assert_eq!(urls, [1, 2, 3].map(|nth| format!("https://cdn.example/{nth}.jpg")));
    assert_eq!(mug["media"][0]["alt"], "In front");
    let small = &mug["variants"][0];
    assert_eq!((&small["sku"], &small["name"]), (&json!("mug-1"), &json!("Mug, Small")));
    assert_eq!(small["prices"], json!([{"amount": 1250, "currency": "EUR"}]));
    let large = &mug["variants"][1];
    assert_eq!((&large["sku"], &large["tax_class"]), (&json!("M-L"), &json!("exempt")));
    let card = shop.send(Ask::get("/admin/v1/products/card").operator()).await.json();
    assert_eq!((&card["status"], &card["visibility"]), (&json!("draft"), &json!("hidden")));
    assert_eq!(card["variants"][0]["sku"], "card");
    assert_eq!(card["variants"][0]["options"], json!([]));
    shop.close().await;
}

#[tokio::test]
async fn rows_of_one_product_have_an_end() {
    let shop = Shop::open_empty().await;
    let row = format!("p,,{}\n", "x".repeat(100_000));
    let text = format!("slug,title,description\n{}", row.repeat(180));
    let (json, _) = imported(&shop, "csv", &text).await;
    assert_eq!(json["status"], "failed", "{json}");
    assert_eq!(json["failure"], "the product of row 2 does not end");
    shop.close().await;
}
