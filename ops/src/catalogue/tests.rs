use actors::domain::seller::Standing;

use super::*;

#[track_caller]
fn refused(text: &str, part: &str) {
    let error = format!("{:#}", parse(text).unwrap_err());
    assert!(error.contains(part), "{error}");
}

/// A file of one product and whatever else is given.
fn file(more: &str) -> String {
    let tea = r#"{"sku": "tea", "name": "Tea", "prices": {"EUR": 450, "JPY": 700}}"#;
    format!(r#"{{"default_currency": "EUR", "products": [{tea}]{more}}}"#)
}

#[test]
fn a_catalogue_lists_products_with_a_price_per_currency() {
    let book = parse(&file("")).unwrap();
    let tea = book.listing(&"tea".parse().unwrap()).unwrap();
    assert_eq!(tea.price_in("JPY".parse().unwrap()).unwrap().minor, 700);
    assert_eq!(book.default_currency().as_str(), "EUR");
}

#[test]
fn what_goes_with_the_products_stands_beside_them() {
    let book = parse(&file(
        r#", "categories": [{"id": "green", "name": "Green", "parent": "teas"},
                            {"id": "teas", "name": "Teas"}],
            "pages": [{"slug": "tea", "title": "Tea", "categories": ["green"], "seller": "ann",
                       "variants": ["tea"]}],
            "sellers": [{"id": "ann", "name": "Ann's teas"},
                        {"id": "bob", "name": "Bob", "status": "suspended"}],
            "tax_rates": [{"country": "DE", "rate_millionths": 190000, "included": true}],
            "shipping_options": [{"id": "parcel", "name": "Parcel", "carrier": "Post",
                                  "prices": {"EUR": 490}, "countries": ["DE"]}],
            "price_lists": [{"id": "week", "name": "Tea week", "currency": "EUR",
                             "prices": {"tea": 400}}]"#,
    ))
    .unwrap();
    let page = book.listed_pages(None).next().unwrap();
    assert_eq!(book.variants(page).map(|it| it.sku().as_str()).collect::<Vec<_>>(), ["tea"]);
    let path: Vec<_> = page.categories.iter().flat_map(|id| book.categories().path(id)).collect();
    assert_eq!(path.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["green", "teas"]);
    assert_eq!(book.seller_of(&"tea".parse().unwrap()).map(|it| it.as_str()), Some("ann"));
    let sellers: Vec<_> =
        book.sellers().map(|it| (it.id.as_str(), it.name.as_str(), it.standing)).collect();
    let expected = [("ann", "Ann's teas", Standing::Active), ("bob", "Bob", Standing::Suspended)];
    assert_eq!(sellers, expected);
    let rates: Vec<_> = book.tax_rates().iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(rates, ["DE.standard"]);
    assert!(book.shipping_option(&"parcel".parse().unwrap()).is_some());
    let list = book.price_lists().next().unwrap();
    assert_eq!(list.price_of(&"tea".parse().unwrap()).unwrap().minor, 400);
}

#[test]
fn what_is_wrong_is_named() {
    let product =
        |product: &str| format!(r#"{{"default_currency": "EUR", "products": [{product}]}}"#);
    refused("{}", "default_currency");
    refused(r#"{"default_currency": "euro", "products": []}"#, "\"euro\" is no currency");
    refused(&product(r#"{"sku": "a b", "name": "x", "prices": {}}"#), "a sku is");
    refused(&product(r#"{"sku": "a", "name": "x", "price": 1}"#), "unknown field `price`");
    refused(&product(r#"{"sku": "a", "name": "x", "prices": {"E": 1}}"#), "prices of sku a");
    refused(&product(r#"{"sku": "a", "name": "x", "prices": {"EUR": -1}}"#), "sku a has");
}

#[test]
fn what_does_not_fit_together_is_named() {
    let with = |member: &str, content: &str| file(&format!(r#", "{member}": [{content}]"#));
    let page = r#"{"slug": "x", "title": "X", "variants": ["tea"]}"#;
    refused(&with("pages", &page.replace("tea", "cup")), "shows sku cup, which is no product");
    refused(&with("pages", &format!("{page}, {page}")), "page x stands there twice");
    let other = page.replace("\"x\"", "\"y\"");
    refused(&with("pages", &format!("{page}, {other}")), "sku tea is on the pages x and y");
    let lost = page.replace("}", r#", "categories": ["none"]}"#);
    refused(&with("pages", &lost), "page x is in the category none, which is not there");
    let category = |id: &str, parent: &str| {
        format!(r#"{{"id": "{id}", "name": "{id}", "parent": "{parent}"}}"#)
    };
    refused(&with("categories", &category("a", "b")), "category a lies below b");
    let cycle = format!("{}, {}", category("a", "b"), category("b", "a"));
    refused(&with("categories", &cycle), "category a lies below b");
    let foreign = page.replace("}", r#", "seller": "ann"}"#);
    refused(&with("pages", &foreign), "page x is of the seller ann, who is not there");
    let seller = r#"{"id": "ann", "name": "Ann"}"#;
    refused(&with("sellers", &format!("{seller}, {seller}")), "seller ann stands there twice");
    refused(&with("sellers", &seller.replace("ann", "a b")), "a seller id is 1 to 64");
    let shut = seller.replace("}", r#", "status": "shut"}"#);
    refused(&with("sellers", &shut), "unknown variant `shut`, expected `active` or `suspended`");
    let nameless = "\n\n{\"id\": \"ann\"}";
    refused(&with("sellers", nameless), "missing field `name` at line 3");
    let rate = r#"{"country": "DE", "rate_millionths": 1, "included": true}"#;
    refused(&with("tax_rates", &rate.replace("DE", "de")), "two capital letters");
    refused(&with("tax_rates", &format!("{rate}, {rate}")), "tax rate DE.standard stands there");
    let option = r#"{"id": "p", "name": "P", "carrier": "C", "prices": {"EUR": -1}}"#;
    refused(&with("shipping_options", option), "shipping option p");
    let list = r#"{"id": "l", "name": "L", "currency": "EUR", "prices": {"tea": -1}}"#;
    refused(&with("price_lists", list), "price list l");
}
