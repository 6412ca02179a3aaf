//! What merchants write and shoppers see, through one node.

use axum::http::Method;
use serde_json::{Value, json};

use crate::shop::{Answer, Ask, Shop};

fn put(path: &str, body: &Value) -> Ask {
    Ask::new(Method::PUT, path).operator().json(body)
}

fn patch(path: &str, body: &Value) -> Ask {
    Ask::new(Method::PATCH, path).operator().json(body)
}

async fn post(shop: &Shop, path: &str, body: &Value) -> Answer {
    shop.send(Ask::post(path).operator().json(body)).await
}

async fn created(shop: &Shop, path: &str, body: &Value) -> Answer {
    let answer = post(shop, path, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

/// What a list shows once this node has what an answer says.
async fn seen(shop: &Shop, ask: Ask, after: &Answer) -> Value {
    let answer = shop.send(ask.header("omni-min-seq", after.header("omni-seq").unwrap())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn names(list: &Value, member: &str) -> Vec<String> {
    let data = list["data"].as_array().unwrap();
    data.iter().map(|one| one[member].as_str().unwrap().to_owned()).collect()
}

fn tea(slug: &str, sku: &str, minor: i64, status: &str) -> Value {
    json!({
        "slug": slug,
        "title": format!("Tea {slug}"),
        "status": status,
        "categories": ["green"],
        "variants": [{
            "sku": sku,
            "name": format!("Tea {sku}"),
            "prices": [{"amount": minor, "currency": "EUR"}],
            "options": [{"option": "Size", "value": "100 g"}],
        }],
    })
}

/// Of each kind: its path, an entry, a change to it, and the code of one that is not there.
fn entries() -> [(&'static str, &'static str, Value, Value, &'static str); 7] {
    let seller = json!({"id": "ann", "name": "Ann", "status": "active"});
    let category =
        json!({"id": "tea", "name": "Tea", "parent": null, "position": 0, "translations": []});
    let rate = json!({"id": "DE.food", "country": "DE", "region": null, "tax_class": "food",
        "rate_millionths": 70_000, "included": true});
    let list = json!({"id": "summer", "name": "Summer", "currency": "EUR",
        "customer_group": "staff", "valid_from": "2026-01-31T23:59:59.000000Z",
        "valid_until": null,
        "prices": [{"sku": "a", "price": {"amount": 5, "currency": "EUR"}}]});
    let parcel = json!({"id": "parcel", "name": "Parcel", "carrier": "Post",
        "prices": [{"amount": 490, "currency": "EUR"}], "free_from": [],
        "countries": ["AT", "DE"], "tax_class": "standard"});
    let promotion = json!({"id": "spring", "name": "Spring sale",
        "benefit": {"type": "buy_get", "buy": 2, "get": 1, "from": {"categories": ["tea"]},
            "rate_millionths": 500_000},
        "scope": {"skus": ["a", "b"]}, "minimum": [{"amount": 1_000, "currency": "EUR"}],
        "customer_group": null, "orders": "any", "valid_from": null,
        "valid_until": "2026-01-31T23:59:59.000000Z", "requires_code": false,
        "priority": 7, "exclusive": true});
    let free = json!({"benefit": {"type": "free_shipping"}, "scope": null});
    [
        ("/admin/v1/promotions", "spring", promotion, free, "promotion_not_found"),
        ("/admin/v1/sellers", "ann", seller, json!({"status": "suspended"}), "seller_not_found"),
        ("/admin/v1/categories", "tea", category, json!({"position": 3}), "category_not_found"),
        ("/admin/v1/tax_rates", "DE.food", rate, json!({"included": false}), "tax_rate_not_found"),
        (
            "/admin/v1/price_lists",
            "summer",
            list,
            json!({"customer_group": null}),
            "price_list_not_found",
        ),
        (
            "/admin/v1/shipping_options",
            "parcel",
            parcel,
            json!({"countries": []}),
            "shipping_option_not_found",
        ),
        (
            "/admin/v1/stock_locations",
            "berlin",
            json!({"id": "berlin", "name": "Berlin", "priority": 10}),
            json!({"priority": 3}),
            "stock_location_not_found",
        ),
    ]
}

fn with_seq(entry: &Value, seq: &str) -> Value {
    let mut entry = entry.clone();
    entry["seq"] = json!(seq.trim_matches('"').parse::<u64>().unwrap());
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_entry_is_made_shown_changed_and_removed() {
    let shop = Shop::open_empty().await;
    for (path, id, entry, change, not_found) in entries() {
        let one = format!("{path}/{id}");
        shop.send(Ask::get(&one).operator()).await.problem(404, not_found);
        shop.send(Ask::get(&one)).await.problem(401, "unauthorized");
        let made = created(&shop, path, &entry).await;
        assert_eq!(made.header("location"), Some(one.as_str()));
        let tag = made.header("etag").unwrap().to_owned();
        assert_eq!(made.json(), with_seq(&entry, &tag));
        post(&shop, path, &entry).await.problem(409, "already_exists");
        let bound = Ask::post(path).operator().json(&entry).header("if-match", "*");
        shop.send(bound).await.problem(400, "if_match_unsupported");
        let shown = shop.send(Ask::get(&one).operator()).await;
        assert_eq!((shown.json(), shown.header("etag")), (made.json(), Some(tag.as_str())));
        let list = seen(&shop, Ask::get(path).operator(), &made).await;
        assert_eq!(list["data"], json!([entry]));
        shop.send(patch(&one, &change)).await.problem(428, "precondition_required");
        shop.send(put(&one, &entry)).await.problem(428, "precondition_required");
        let stale = put(&one, &entry).header("if-match", "\"9999\"");
        shop.send(stale).await.problem(412, "precondition_failed");
        let changed = shop.send(patch(&one, &change).header("if-match", &tag)).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let mut expected = entry.clone();
        for (member, value) in change.as_object().unwrap() {
            expected[member] = value.clone();
        }
        let next_tag = changed.header("etag").unwrap().to_owned();
        assert_eq!(changed.json(), with_seq(&expected, &next_tag));
        shop.send(put(&one, &entry).header("if-match", &tag))
            .await
            .problem(412, "precondition_failed");
        let replaced = shop.send(put(&one, &entry).header("if-match", &next_tag)).await;
        assert_eq!(replaced.status, 200, "{replaced:?}");
        let unknown = json!({"typo": 1});
        let refused = shop.send(patch(&one, &unknown).header("if-match", "*")).await;
        assert_eq!(refused.problem(422, "validation_failed")["param"], "typo");
        let gone = shop.send(Ask::new(Method::DELETE, &one).operator()).await;
        assert_eq!(gone.status, 204, "{gone:?}");
        shop.send(Ask::new(Method::DELETE, &one).operator()).await.problem(404, not_found);
        let list = seen(&shop, Ask::get(path).operator(), &gone).await;
        assert_eq!(list["data"], json!([]));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_is_answered_alike() {
    let shop = Shop::open_empty().await;
    let body = json!({"id": "ann", "name": "Ann"});
    let ask = || Ask::post("/admin/v1/sellers").operator().key("once").json(&body);
    let (first, second) = (shop.send(ask()).await, shop.send(ask()).await);
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.body, second.body);
    assert!(second.is_replayed() && !first.is_replayed());
    let product = tea("green", "a", 450, "active");
    let ask = || Ask::post("/admin/v1/products").operator().key("twice").json(&product);
    let (first, second) = (shop.send(ask()).await, shop.send(ask()).await);
    assert_eq!((first.status, second.status), (201, 201), "{second:?}");
    assert_eq!(first.body, second.body);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_a_product_is_told_at_once() {
    let shop = Shop::open_empty().await;
    let body = json!({
        "slug": "a b", "title": "", "status": "new", "typo": 1,
        "variants": [{"sku": "a", "name": "A", "prices": [{"amount": -1, "currency": "EUR"}]}],
    });
    let problem = post(&shop, "/admin/v1/products", &body).await.problem(422, "validation_failed");
    let mut params: Vec<_> = problem["errors"].as_array().unwrap().iter().collect();
    params.sort_by_key(|error| error["param"].as_str().unwrap());
    let params: Vec<_> = params.iter().map(|error| error["param"].as_str().unwrap()).collect();
    assert_eq!(params, ["slug", "status", "title", "typo", "variants[0].prices"]);
    let bulk = tea("bulk", "a", 1, "draft");
    post(&shop, "/admin/v1/products", &bulk).await.problem(422, "validation_failed");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_for_sale_while_it_is_active() {
    let shop = Shop::open_empty().await;
    let path = "/admin/v1/products";
    let made = created(&shop, path, &tea("green", "a", 450, "draft")).await;
    let get = || Ask::get("/store/v1/products/green");
    let min_seq =
        |ask: Ask, answer: &Answer| ask.header("omni-min-seq", answer.header("omni-seq").unwrap());
    shop.send(min_seq(get(), &made)).await.problem(404, "product_not_found");
    let basket = shop.basket().await;
    shop.send(basket.add("a", 1)).await.problem(422, "sku_not_for_sale");
    let one = format!("{path}/green");
    let active = patch(&one, &json!({"status": "active"}));
    let active = shop.send(active.header("if-match", made.header("etag").unwrap())).await;
    assert_eq!(active.status, 200, "{active:?}");
    let shown = seen(&shop, get(), &active).await;
    assert_eq!(shown["price_from"], json!({"amount": 450, "currency": "EUR"}));
    assert_eq!(shown["variants"][0]["options"], json!([{"option": "Size", "value": "100 g"}]));
    let added = shop.send(basket.add("a", 2)).await;
    assert_eq!(added.json()["totals"]["grand"]["amount"], 900, "{added:?}");
    let shown = shop.send(Ask::get(&one).operator()).await.json();
    assert_eq!(shown["variants"][0]["prices"], json!([{"amount": 450, "currency": "EUR"}]));
    let gone = shop.send(Ask::new(Method::DELETE, &one).operator()).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    shop.send(min_seq(get(), &gone)).await.problem(404, "product_not_found");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sku_is_of_one_product() {
    let shop = Shop::open_empty().await;
    created(&shop, "/admin/v1/products", &tea("green", "a", 450, "active")).await;
    let other = tea("black", "a", 1, "active");
    post(&shop, "/admin/v1/products", &other).await.problem(409, "sku_on_another_product");
    let shown = shop.send(Ask::get("/store/v1/products/green")).await.json();
    assert_eq!(shown["price_from"]["amount"], 450);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_products_each_is_written_or_refused_for_itself() {
    let shop = Shop::open_empty().await;
    let mut products: Vec<_> =
        (0..20).map(|n| tea(&format!("t{n:02}"), &format!("s{n}"), 100 + n, "active")).collect();
    products.push(json!({"slug": "bad", "title": 7}));
    let bulk = || Ask::post("/admin/v1/products/bulk").operator();
    let bound = bulk().header("if-match", "*").json(&json!({"products": products}));
    shop.send(bound).await.problem(400, "if_match_unsupported");
    let answer = shop.send(bulk().json(&json!({"products": products}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.json()["results"].clone();
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), 21);
    assert!(results[..20].iter().all(|one| one["status"] == "written"), "{results:?}");
    assert_eq!(results[20]["code"], "validation_failed");
    assert_eq!(results[20]["errors"][0]["param"], "title");
    for (sort, first, last) in [("slug", "t00", "t19"), ("-price", "t19", "t00")] {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let uri = format!("/store/v1/products?limit=7&sort={sort}{after}");
            let page = shop.send(Ask::get(uri)).await.json();
            all.extend(names(&page, "slug"));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            after = format!("&after={cursor}");
        }
        assert_eq!(all.len(), 20);
        assert_eq!((all[0].as_str(), all[19].as_str()), (first, last));
    }
    let within = shop.send(Ask::get("/store/v1/products?price_min=118&q=TEA+t1")).await.json();
    assert_eq!(names(&within, "slug"), ["t18", "t19"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_are_a_tree_and_filter_products() {
    let shop = Shop::open_empty().await;
    let category = |id: &str, parent: Option<&str>| json!({"id": id, "name": id, "parent": parent});
    let path = "/admin/v1/categories";
    post(&shop, path, &category("green", Some("tea"))).await.problem(422, "parent_not_found");
    let tea_made = created(&shop, path, &category("tea", None)).await;
    seen(&shop, Ask::get(path).operator(), &tea_made).await;
    let green = created(&shop, path, &category("green", Some("tea"))).await;
    let tree = seen(&shop, Ask::get("/store/v1/categories"), &green).await;
    assert_eq!(names(&tree, "id"), ["tea", "green"]);
    let below = put(&format!("{path}/tea"), &category("tea", Some("green")));
    shop.send(below.header("if-match", "*")).await.problem(409, "category_below_itself");
    let remove = Ask::new(Method::DELETE, format!("{path}/tea")).operator();
    shop.send(remove).await.problem(409, "category_not_empty");
    let made = created(&shop, "/admin/v1/products", &tea("sencha", "a", 450, "active")).await;
    for (wanted, found) in [("tea", 1), ("green", 1), ("cups", 0)] {
        let uri = format!("/store/v1/products?category={wanted}");
        let list = seen(&shop, Ask::get(uri), &made).await;
        assert_eq!(names(&list, "slug").len(), found, "{wanted}");
    }
    shop.close().await;
}
