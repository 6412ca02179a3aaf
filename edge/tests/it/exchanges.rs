//! Pieces of orders that are exchanged for others.

use serde_json::{Value, json};

use crate::checkout::{KEY, basket, check_out, expect_stock, open, terms};
use crate::shop::{Ask, Basket, Shop};

const TEA: i64 = 450;
const CUP: i64 = 1_299;

fn euro(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// Two teas, bought; its path at the shop's side.
async fn teas(shop: &Shop) -> (Basket, String) {
    shop.stock("tea", 10).await;
    shop.stock("cup", 10).await;
    let basket = basket(shop, &[("tea", 2)]).await;
    let created = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/admin/v1/orders/{}", created.json()["id"].as_str().unwrap());
    (basket, path)
}

async fn sent(shop: &Shop, path: &str, sku: &str, quantity: u32) {
    let items = json!([{"sku": sku, "quantity": quantity}]);
    let parcel = json!({"items": items, "carrier": "Post", "tracking": "1Z"});
    let ask = Ask::post(format!("{path}/fulfilments")).operator().key("sent").json(&parcel);
    let answer = shop.send(ask).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn exchange(path: &str, key: &str, body: &Value) -> Ask {
    Ask::post(format!("{path}/exchanges")).operator().key(key).json(body)
}

fn swap(given: &str, quantity: u32, wanted: &str) -> Value {
    json!({
        given: [{"sku": "tea", "quantity": quantity}],
        "wanted": [{"sku": wanted, "quantity": 1}],
        "reason": "another one",
    })
}

/// The other order, which its shopper may see too, once its checkout has ended.
async fn other(shop: &Shop, basket: &Basket, exchanged: &Value) -> Value {
    let path = format!("/store/v1/orders/{}", exchanged["exchanged_for"].as_str().unwrap());
    for _ in 0..500 {
        let answer = shop.send(Ask::get(path.clone()).token(&basket.token)).await;
        if answer.status == 200 && answer.json()["status"] != "pending" {
            return answer.json();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the other order never comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_exchanged_once_it_is_back() {
    let (shop, _folder) = open().await;
    let (basket, path) = teas(&shop).await;
    sent(&shop, &path, "tea", 2).await;
    let no_key =
        Ask::post(format!("{path}/exchanges")).operator().json(&swap("returned", 1, "tea"));
    shop.send(no_key).await.problem(400, "idempotency_key_required");
    // A cup costs more than two teas had: somebody must pay the rest.
    let dear = shop.send(exchange(&path, "dear", &swap("returned", 2, "cup"))).await;
    dear.problem(402, "payment_required");
    let mut paid = swap("returned", 2, "cup");
    paid["payment"] = json!({"provider": "simulator", "token": "tok_visa"});
    let asked = shop.send(exchange(&path, "swap", &paid)).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let again = shop.send(exchange(&path, "swap", &paid)).await;
    assert_eq!((&again.body, again.is_replayed()), (&asked.body, true));
    let json = asked.json();
    let shown = &json["order"]["exchanges"][0];
    assert_eq!((&shown["status"], &shown["credit"]), (&json!("pending"), &euro(2 * TEA)));
    assert_eq!(shown["returned"], 1);
    let returned = Ask::post(format!("{path}/receive_return")).operator();
    assert_eq!(shop.send(returned).await.status, 200);
    let other = other(&shop, &basket, &json).await;
    assert_eq!(other["status"], "confirmed", "{other}");
    assert_eq!(other["in_place_of"], json["order"]["id"]);
    assert_eq!(other["gift_cards"][0]["amount"], euro(2 * TEA));
    assert_eq!(other["payments"][0]["captured"], euro(CUP - 2 * TEA));
    expect_stock(&shop, "tea", (10, 0)).await;
    expect_stock(&shop, "cup", (9, 0)).await;
    let kept = shop.send(Ask::get(path).operator()).await.json();
    assert_eq!(
        (&kept["status"], &kept["exchanges"][0]["status"]),
        (&json!("returned"), &json!("placed"))
    );
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_edited_before_it_is_sent() {
    let (shop, _folder) = open().await;
    let (basket, path) = teas(&shop).await;
    // One tea less, and a cup: the tea's price goes towards it.
    let mut edit = swap("cancelled", 1, "cup");
    edit["payment"] = json!({"provider": "simulator", "token": "tok_visa"});
    let edited = shop.send(exchange(&path, "edit", &edit)).await;
    assert_eq!(edited.status, 201, "{edited:?}");
    let other = other(&shop, &basket, &edited.json()).await;
    assert_eq!((&other["status"], &other["totals"]["grand"]), (&json!("confirmed"), &euro(CUP)));
    expect_stock(&shop, "tea", (9, 0)).await;
    let kept = shop.send(Ask::get(path.clone()).operator()).await.json();
    assert_eq!((&kept["status"], &kept["items"][0]["cancelled"]), (&json!("confirmed"), &json!(1)));
    assert_eq!(kept["refunds"].as_array().unwrap().len(), 1, "{kept}");
    // The rest of the order goes its way.
    sent(&shop, &path, "tea", 1).await;
    let kept = shop.send(Ask::get(path).operator()).await.json();
    assert_eq!(kept["status"], "shipped");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_exchange_that_comes_to_nothing_the_credit_stays_a_card() {
    let (shop, _folder) = open().await;
    let (basket, path) = teas(&shop).await;
    sent(&shop, &path, "tea", 2).await;
    let mut early = swap("returned", 1, "pot");
    early["in_advance"] = json!(true);
    early["payment"] = json!({"provider": "simulator", "token": "tok_visa"});
    // There is no pot.
    let asked = shop.send(exchange(&path, "early", &early)).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let json = asked.json();
    assert_eq!(other(&shop, &basket, &json).await["status"], "failed");
    let balance = || Ask::post("/store/v1/gift_cards/balance").json(&json!({"code": json["code"]}));
    for _ in 0..500 {
        if shop.send(balance()).await.json()["available"] == euro(TEA) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(shop.send(balance()).await.json()["available"], euro(TEA));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_make_no_sense_are_refused() {
    let (shop, _folder) = open().await;
    let (_, path) = teas(&shop).await;
    let refused = async |body: Value, status: u16, code: &str| {
        shop.send(exchange(&path, code, &body)).await.problem(status, code);
    };
    refused(swap("returned", 1, "tea"), 409, "too_many_pieces").await;
    refused(swap("cancelled", 3, "tea"), 409, "too_many_pieces").await;
    refused(swap("cancelled", 1, "bowl"), 422, "sku_not_for_sale").await;
    let mut both = swap("returned", 1, "tea");
    both["cancelled"] = both["returned"].clone();
    refused(both, 422, "validation_failed").await;
    let mut advance = swap("cancelled", 1, "tea");
    advance["in_advance"] = json!(true);
    refused(advance, 422, "validation_failed").await;
    let mut nobody = swap("cancelled", 1, "cup");
    nobody["payment"] = json!({"token": "tok_visa"});
    refused(nobody, 422, "payment_provider_unknown").await;
    let mut much = swap("cancelled", 1, "tea");
    much["credit"] = euro(TEA + 1);
    refused(much, 409, "refund_too_large").await;
    let mut odd = swap("cancelled", 1, "tea");
    odd["shipping_option"] = json!("drone");
    refused(odd, 422, "shipping_option_unfit").await;
    let mut more = swap("cancelled", 1, "tea");
    more.as_object_mut().unwrap().remove("cancelled");
    refused(more, 422, "validation_failed").await;
    let nothing = json!({"wanted": [], "reason": "nothing"});
    refused(nothing, 422, "validation_failed").await;
    let untouched = shop.send(Ask::get(path.clone()).operator()).await.json();
    assert_eq!((&untouched["exchanges"], &untouched["cancellations"]), (&json!([]), &json!([])));
    shop.close().await;
}
