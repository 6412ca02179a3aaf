//! Every route on one screen.

use actors::{
    Category, DiscountCode, PriceList, Promotion, Seller, ShippingOption, StockLocation, TaxRate,
};
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, any_service, delete, get, post, put};

use super::Endpoint as E;
use super::app::{App, BenchOm};
use super::bench_om;
use super::middleware::rim::RimLayer;
use super::openapi;
use super::routes::entries::{self, Resource};
use super::routes::{
    audit, cart, cart_gift_cards, cart_stream, checkout, codes, events, exchanges, exports,
    gift_cards, history, imports, inventory, merge, nodes, order_lists, orders, parcels, payment,
    products, reviews, seller_board, shards, store, system,
};

type Routes = Vec<(E, MethodRouter<App>)>;

/// The whole API.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for (endpoint, methods) in [store(), admin(), system()].into_iter().flatten() {
        let methods: MethodRouter<App> = methods.fallback(system::method_not_allowed);
        let rim = RimLayer::new(app.clone(), endpoint);
        router = router.route(endpoint.path(), methods.layer(rim));
    }
    if app.settings.bench_om == BenchOm::Mounted {
        router = bench_om::mount(router, &app);
    }
    let unmatched = system::not_found.layer(RimLayer::new(app.clone(), E::Unmatched));
    router.fallback_service(any_service(unmatched.with_state(app.clone()))).with_state(app)
}

/// What shoppers ask for, and those who take their money and bring their goods.
fn store() -> Routes {
    vec![
        (E::StoreProducts, get(store::list)),
        (E::StoreProduct, get(store::show)),
        (E::StoreCategories, get(store::categories)),
        (E::Carts, post(cart::create)),
        (E::Cart, get(cart::show).delete(cart::delete)),
        (E::CartItems, post(cart::add_items)),
        (E::CartItem, put(cart::set_quantity).delete(cart::remove_item)),
        (E::CartStream, get(cart_stream::stream)),
        (E::CartMerge, post(merge::merge)),
        (E::CartCodes, post(codes::add)),
        (E::CartCode, delete(codes::remove)),
        (E::CartGiftCards, post(cart_gift_cards::add)),
        (E::CartGiftCard, delete(cart_gift_cards::remove)),
        (E::CartCheckout, post(checkout::check_out)),
        (E::GiftCardBalance, post(gift_cards::show_balance)),
        (E::Order, get(orders::show)),
        (E::OrderTimeline, get(orders::timeline)),
        (E::OrderCancel, post(orders::cancel_own)),
        (E::OrderReturns, post(orders::ask_return)),
        (E::PaymentHook, post(payment::take_notice)),
        (E::ShippingHook, post(parcels::take_notice)),
    ]
}

/// What merchants ask for.
fn admin() -> Routes {
    vec![
        (E::AdminProducts, get(products::list).post(products::create)),
        (E::AdminProduct, one_product()),
        (E::AdminProductsBulk, post(products::bulk)),
        (E::Imports, get(imports::list::list).post(imports::create)),
        (E::Import, get(imports::show)),
        (E::ImportData, put(imports::upload)),
        (E::ImportErrors, get(imports::errors)),
        (E::ImportCancel, post(imports::cancel)),
        (E::Exports, post(exports::export)),
        (E::Audit, get(audit::list)),
        (E::AuditHeads, get(audit::list_heads)),
        (E::Events, get(events::list_events)),
        (E::History, get(history::list_changes)),
        (E::StateAt, get(history::show_state)),
        (E::AdminCategories, all::<Category>()),
        (E::AdminCategory, one::<Category>()),
        (E::PriceLists, all::<PriceList>()),
        (E::PriceList, one::<PriceList>()),
        (E::TaxRates, all::<TaxRate>()),
        (E::TaxRate, one::<TaxRate>()),
        (E::Promotions, all::<Promotion>()),
        (E::Promotion, one::<Promotion>()),
        (E::DiscountCodes, all::<DiscountCode>()),
        (E::DiscountCode, one::<DiscountCode>()),
        (E::DiscountCodeUses, get(codes::show_uses)),
        (E::GiftCards, get(gift_cards::list::list).post(gift_cards::issue)),
        (E::GiftCard, get(gift_cards::show)),
        (E::GiftCardAdjust, post(gift_cards::adjust)),
        (E::GiftCardTerms, put(gift_cards::set_terms)),
        (E::SellerDashboard, get(seller_board::show)),
        (E::Sellers, all::<Seller>()),
        (E::Seller, one::<Seller>()),
        (E::ShippingOptions, all::<ShippingOption>()),
        (E::ShippingOption, one::<ShippingOption>()),
        (E::StockLocations, all::<StockLocation>()),
        (E::StockLocation, one::<StockLocation>()),
        (E::Inventory, get(inventory::show)),
        (E::InventoryAdjust, post(inventory::adjust)),
        (E::InventorySet, post(inventory::set)),
        (E::InventoryTransfer, post(inventory::transfer)),
        (E::InventoryLocations, get(inventory::list_locations)),
        (E::InventoryPolicy, put(inventory::set_policy)),
        (E::InventoryLowStock, put(inventory::set_low_stock)),
        (E::InventoryReservations, get(inventory::list_reservations).post(inventory::reserve)),
        (E::InventoryReservationConfirm, post(inventory::confirm)),
        (E::InventoryReservationRelease, post(inventory::release)),
        (E::InventoryLedger, get(inventory::list_ledger)),
        (E::AdminOrders, get(order_lists::list)),
        (E::AdminOrder, get(orders::show_any).patch(orders::correct)),
        (E::AdminOrderCancel, post(orders::cancel)),
        (E::AdminOrderFulfilments, post(orders::fulfil)),
        (E::AdminOrderBookParcel, post(parcels::book)),
        (E::AdminOrderDeliver, post(orders::deliver)),
        (E::AdminOrderReceiveReturn, post(orders::receive_return)),
        (E::AdminOrderRefunds, post(orders::refund)),
        (E::AdminOrderNotes, post(orders::add_note)),
        (E::AdminOrderVouchers, post(orders::refund_to_card)),
        (E::AdminOrderExchanges, post(exchanges::exchange)),
        (E::FraudReviews, get(reviews::list)),
        (E::FraudReviewApprove, post(reviews::approve)),
        (E::FraudReviewReject, post(reviews::reject)),
        (E::Payments, get(payment::list)),
        (E::Payment, get(payment::show)),
        (E::PaymentCapture, post(payment::capture)),
        (E::PaymentVoid, post(payment::void)),
    ]
}

/// What operators ask for, and what watches over the service.
fn system() -> Routes {
    vec![
        (E::Cluster, get(nodes::show)),
        (E::NodeDrain, post(nodes::drain)),
        (E::NodeResume, post(nodes::resume)),
        (E::NodeRemove, post(nodes::remove)),
        (E::Shards, get(shards::list)),
        (E::ShardTransfer, post(shards::transfer)),
        (E::ShardPin, post(shards::pin)),
        (E::ShardUnpin, post(shards::unpin)),
        (E::Health, get(system::health)),
        (E::Readiness, get(system::readiness)),
        (E::Metrics, get(system::metrics)),
        (E::OpenApi, get(openapi::document)),
        (E::Docs, get(openapi::page)),
    ]
}

fn one_product() -> MethodRouter<App> {
    get(products::show).put(products::replace).patch(products::change).delete(products::remove)
}

/// The methods of a list of entries.
fn all<R: Resource>() -> MethodRouter<App> {
    get(entries::list::<R>).post(entries::create::<R>)
}

/// The methods of one entry.
fn one<R: Resource>() -> MethodRouter<App> {
    get(entries::show::<R>)
        .put(entries::replace::<R>)
        .patch(entries::change::<R>)
        .delete(entries::remove::<R>)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Which methods a path has, `edge/tests/it/contract.rs` asks the router itself.
    #[test]
    fn every_path_is_described_and_no_other() {
        let routes = [store(), admin(), system()].into_iter().flatten();
        let routed: BTreeSet<_> = routes.map(|(endpoint, _)| endpoint.path()).collect();
        let described = openapi::described().into_iter();
        let described: BTreeSet<_> = described.map(|(endpoint, _)| endpoint.path()).collect();
        assert_eq!(routed, described);
    }
}
