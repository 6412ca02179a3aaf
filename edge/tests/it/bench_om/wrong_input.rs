//! What is refused, and with which status.

use axum::http::Method;
use serde_json::{Value, json};

use super::{ask, check_out, checkout, get, item, open, product};

/// A body with one member set, or without it.
fn with(mut body: Value, member: &str, value: Option<Value>) -> Value {
    let members = body.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
    body
}

fn bad_rows() -> Vec<(Method, &'static str, Value, u16)> {
    let row = || product(1, 1, 1.0, "0");
    let stock = || json!({"seller_id": 1, "product_id": 1, "qty_available": 1});
    let price = json!({"sellerId": 1, "productId": 1, "price": 1, "version": "0"});
    let (post, put, patch) = (Method::POST, Method::PUT, Method::PATCH);
    vec![
        (post.clone(), "/customer", json!([]), 400),
        (post.clone(), "/customer", json!({"first_name": "A"}), 422),
        (post.clone(), "/customer", json!({"id": "7"}), 422),
        (post.clone(), "/customer", json!({"id": 7, "Id": 7}), 422),
        (post.clone(), "/seller", json!({"id": "one", "name": "S"}), 422),
        (post.clone(), "/seller", json!({"id": 1}), 422),
        (post.clone(), "/product", with(row(), "price", Some(json!("cheap"))), 422),
        (post.clone(), "/product", with(row(), "price", Some(json!(-1))), 422),
        (post.clone(), "/product", with(row(), "name", None), 422),
        (put.clone(), "/product", with(row(), "version", None), 422),
        (put, "/product", with(row(), "version", Some(json!("a b"))), 422),
        (post.clone(), "/stock", with(stock(), "qty_available", Some(json!(-1))), 422),
        (post, "/stock", with(stock(), "qty_available", Some(json!(1.5))), 422),
        (patch.clone(), "/product", with(price.clone(), "version", Some(json!("8"))), 409),
        (patch.clone(), "/product", with(price.clone(), "productId", Some(json!(9))), 404),
        (patch, "/product", with(price, "price", Some(json!("1"))), 422),
    ]
}

fn bad_carts() -> Vec<(Method, &'static str, Value, u16)> {
    let item = || item((1, 1), 1, "0");
    let (post, patch) = (Method::POST, Method::PATCH);
    let (add, to_order) = ("/cart/7/add", "/cart/7/checkout");
    vec![
        (patch.clone(), add, with(item(), "Quantity", Some(json!(0))), 422),
        (patch.clone(), add, with(item(), "Quantity", Some(json!(-1))), 422),
        (patch.clone(), add, with(item(), "Quantity", Some(json!("1"))), 422),
        (patch.clone(), add, with(item(), "SellerId", Some(json!("1"))), 422),
        (patch.clone(), add, with(item(), "Voucher", Some(json!("1"))), 422),
        (patch.clone(), add, with(item(), "Voucher", Some(json!(-1))), 422),
        (patch.clone(), add, with(item(), "Version", None), 422),
        (patch.clone(), add, with(item(), "ProductId", Some(json!(9))), 422),
        (patch.clone(), "/cart/99/add", item(), 404),
        (patch, "/cart/seven/add", item(), 422),
        (post.clone(), to_order, checkout(8, "1"), 422),
        (post.clone(), to_order, with(checkout(7, "1"), "instanceId", None), 422),
        (post.clone(), to_order, checkout(7, "a b"), 422),
        (post.clone(), to_order, checkout(7, &"9".repeat(65)), 422),
        (post, to_order, with(checkout(7, "1"), "City", Some(json!(1))), 422),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_request_is_refused() {
    let (shop, _folder) = open().await;
    for (method, path, body, expected) in bad_rows().into_iter().chain(bad_carts()) {
        let (status, answer) = ask(&shop.router, method.clone(), path, Some(&body)).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
    }
    for (path, expected) in [
        ("/customer/99", 404),
        ("/customer/x", 422),
        ("/seller/99", 404),
        ("/product/9/9", 404),
        ("/stock/9/9", 404),
        ("/order/99", 404),
        ("/seller/dashboard/one", 422),
    ] {
        let (status, answer) = ask(&shop.router, Method::GET, path, None).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    assert_eq!(ask(&shop.router, Method::PATCH, "/cart/seven/seal", None).await.0, 422);
    assert_eq!(ask(&shop.router, Method::DELETE, "/product", None).await.0, 405);
    // Nothing came of all that.
    assert_eq!(get(&shop.router, "/cart/7").await, json!([]));
    assert_eq!(get(&shop.router, "/product/1/1").await["price"], 10.25);
    assert_eq!(check_out(&shop.router, 7, "1").await.0, 409);
    shop.close().await;
}
