//! What sellers of a marketplace have to do with orders, through one node.

use actors::domain::names::Label;
use actors::domain::page::{Content, Page, Status, Visibility};
use actors::domain::seller::Standing;
use actors::domain::translations::Translations;
use actors::{Currency, Listing, Money, PriceBook, ProductName, Seller};
use edge::publishing::publish;
use serde_json::{Value, json};

use crate::checkout::{KEY, basket, check_out};
use crate::promotions::{open, sent, write};
use crate::shop::{Ask, Shop};

async fn dashboard(shop: &Shop, seller: &str) -> Value {
    let asked = Ask::get(format!("/admin/v1/sellers/{seller}/dashboard")).operator();
    let shown = shop.send(asked).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.json()
}

fn sum(orders: u64, pieces: u64, minor: i64) -> Value {
    json!({"orders": orders, "pieces": pieces, "amount": {"amount": minor, "currency": "EUR"}})
}

/// Looks until the totals are so: a seller is told after the answer.
async fn expect(shop: &Shop, seller: &str, open: Value, ended: Value) -> Value {
    let expected = json!([{"open": open, "ended": ended}]);
    for _ in 0..500 {
        let shown = dashboard(shop, seller).await;
        if shown["totals"] == expected {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} is never {expected}", dashboard(shop, seller).await);
}

/// Whose pots and pans are.
async fn name_sellers(shop: &Shop) {
    for (seller, sku, minor) in [("ann", "pot", 1_000), ("bob", "pan", 2_000)] {
        let name = json!({"id": seller, "name": seller, "status": "active"});
        write(shop, "/admin/v1/sellers", &name).await;
        let prices = json!([{"amount": minor, "currency": "EUR"}]);
        let variant = json!({"sku": sku, "name": sku, "prices": prices});
        let product = json!({"slug": sku, "title": sku, "status": "active", "seller": seller,
            "variants": [variant]});
        write(shop, "/admin/v1/products", &product).await;
        shop.stock(sku, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_sees_totals_and_orders_of_one_position() {
    let (shop, _folder) = open().await;
    let nobody = Ask::get("/admin/v1/sellers/ann/dashboard").operator();
    shop.send(nobody).await.problem(404, "seller_not_found");
    let unknown = Ask::get("/admin/v1/sellers/ann/dashboard");
    shop.send(unknown).await.problem(401, "unauthorized");
    name_sellers(&shop).await;
    assert_eq!(dashboard(&shop, "ann").await["totals"], json!([]));

    let one = basket(&shop, &[("pot", 3), ("pan", 1), ("tea", 1)]).await;
    let created = shop.send(check_out(&one, KEY, &sent())).await;
    assert_eq!(created.status, 201, "{created:?}");
    let order = created.json();
    let sellers: Vec<_> =
        order["items"].as_array().unwrap().iter().map(|item| &item["seller"]).collect();
    assert_eq!(sellers, [&json!("bob"), &json!("ann"), &Value::Null]);
    let ann = expect(&shop, "ann", sum(1, 3, 3_000), sum(0, 0, 0)).await;
    let listed = &ann["open_orders"][0];
    assert_eq!((&listed["id"], &listed["number"]), (&order["id"], &order["number"]));
    assert_eq!((&listed["status"], &listed["pieces"]), (&json!("confirmed"), &json!(3)));
    expect(&shop, "bob", sum(1, 1, 2_000), sum(0, 0, 0)).await;

    // The pan and one pot leave; what was not shipped is called off.
    let id = order["id"].as_str().unwrap();
    let admin = |what: &str| Ask::post(format!("/admin/v1/orders/{id}/{what}")).operator();
    let items = json!([{"sku": "pan", "quantity": 1}, {"sku": "pot", "quantity": 1}]);
    let parcel = json!({"items": items, "carrier": "Post", "tracking": "1Z"});
    let shipped = shop.send(admin("fulfilments").key("one").json(&parcel)).await;
    assert_eq!(shipped.status, 200, "{shipped:?}");
    let rest = shop.send(admin("cancel").key("rest").json(&json!({"reason": "broken"}))).await;
    assert_eq!(rest.status, 200, "{rest:?}");
    let ann = expect(&shop, "ann", sum(1, 1, 1_000), sum(0, 0, 0)).await;
    let listed = &ann["open_orders"][0];
    assert_eq!((&listed["status"], &listed["shipped"]), (&json!("shipped"), &json!(1)));
    let delivered = shop.send(admin("deliver").key("there").json(&json!({}))).await;
    assert_eq!(delivered.status, 200, "{delivered:?}");
    let ann = expect(&shop, "ann", sum(0, 0, 0), sum(1, 1, 1_000)).await;
    assert_eq!(ann["open_orders"], json!([]));
    expect(&shop, "bob", sum(0, 0, 0), sum(1, 1, 2_000)).await;

    // What is called off whole is worth nothing.
    let two = basket(&shop, &[("pot", 2)]).await;
    let created = shop.send(check_out(&two, KEY, &sent())).await.json();
    let id = created["id"].as_str().unwrap();
    expect(&shop, "ann", sum(1, 2, 2_000), sum(1, 1, 1_000)).await;
    let cancel = Ask::post(format!("/admin/v1/orders/{id}/cancel")).operator();
    let cancelled = shop.send(cancel.json(&json!({"reason": "no more pots"}))).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    expect(&shop, "ann", sum(0, 0, 0), sum(2, 1, 1_000)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_seller_sends_a_package() {
    let (shop, _folder) = open().await;
    name_sellers(&shop).await;
    let bought = basket(&shop, &[("pot", 2), ("pan", 1)]).await;
    let created = shop.send(check_out(&bought, &format!("{KEY}-packages"), &sent())).await.json();
    let path = format!("/admin/v1/orders/{}", created["id"].as_str().unwrap());
    let package = |key: &str, seller: &str| {
        let ask = Ask::post(format!("{path}/fulfilments")).operator().key(key);
        ask.json(&json!({"seller": seller, "carrier": "Post", "tracking": "2Z"}))
    };
    let first = shop.send(package("ann", "ann")).await;
    let shipment = first.json()["shipments"][0].clone();
    assert_eq!((first.status, &shipment["sellers"]), (200, &json!(["ann"])), "{first:?}");
    assert_eq!(shipment["items"], json!([{"sku": "pot", "quantity": 2}]));
    assert_eq!(shop.send(package("ann", "ann")).await.body, first.body, "a repeat is none");
    shop.send(package("again", "ann")).await.problem(422, "validation_failed");
    // Whoever asks again for the package of that number means the same, with a key or without.
    let numbered = json!({"number": 1, "seller": "ann", "carrier": "Post", "tracking": "2Z"});
    let again = Ask::post(format!("{path}/fulfilments")).operator().json(&numbered);
    assert_eq!(shop.send(again).await.json()["shipments"].as_array().unwrap().len(), 1);
    shop.send(package("carl", "carl")).await.problem(404, "line_not_found");
    let second = shop.send(package("bob", "bob")).await.json();
    assert_eq!(second["status"], "shipped");
    for _ in 0..2 {
        let there = Ask::post(format!("{path}/deliver")).operator().json(&json!({}));
        assert_eq!(shop.send(there).await.status, 200);
    }
    expect(&shop, "ann", sum(0, 0, 0), sum(1, 2, 2_000)).await;
    expect(&shop, "bob", sum(0, 0, 0), sum(1, 1, 2_000)).await;
    shop.close().await;
}

/// Pots of Ann's, who stands as it is said.
fn pots_of_ann(standing: Standing) -> PriceBook {
    let text = |text: &str| text.to_owned();
    let price = Money { minor: 1_000, currency: Currency::EURO };
    let name = ProductName::try_from(text("Pot")).unwrap();
    let pot = Listing::new("pot".parse().unwrap(), name, vec![price]).unwrap();
    let page = Page::new(Content {
        slug: "pots".parse().unwrap(),
        title: Label::try_from(text("Pots")).unwrap(),
        description: None,
        attributes: Vec::new(),
        media: Vec::new(),
        categories: Vec::new(),
        seller: Some("ann".parse().unwrap()),
        status: Status::Active,
        visibility: Visibility::Listed,
        translations: Translations::default(),
        variants: vec!["pot".parse().unwrap()],
    });
    let name = Label::try_from(text("Ann's pots")).unwrap();
    let ann = Seller { id: "ann".parse().unwrap(), name, standing };
    let listings = vec![pot.on_page(Some("pots".parse().unwrap()))];
    let book = PriceBook::new(Currency::EURO, listings).unwrap();
    book.with_pages([page.unwrap()]).with_sellers([ann])
}

#[tokio::test(flavor = "multi_thread")]
async fn sellers_are_published_with_what_they_offer() {
    let shop = Shop::open_empty().await;
    let published = async |standing| publish(&shop.fabric(), &pots_of_ann(standing)).await.unwrap();
    assert_eq!((published(Standing::Active).await, published(Standing::Active).await), (2, 0));
    let shown = shop.send(Ask::get("/admin/v1/sellers/ann").operator()).await.json();
    assert_eq!((&shown["name"], &shown["status"]), (&json!("Ann's pots"), &json!("active")));
    assert_eq!(shop.send(Ask::get("/store/v1/products/pots")).await.status, 200);
    assert_eq!(published(Standing::Suspended).await, 1);
    assert_eq!(shop.send(Ask::get("/store/v1/products/pots")).await.status, 404);
    shop.close().await;
}
