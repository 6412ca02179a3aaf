//! Every route on one screen.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, any_service, get, post, put};

use super::Endpoint;
use super::app::App;
use super::middleware::rim::RimLayer;
use super::routes::{cart, inventory, merge, nodes, payment, shards, system};

/// The whole API.
pub fn router(app: App) -> Router {
    use Endpoint as E;
    let routes = [
        (E::Carts, post(cart::create)),
        (E::Cart, get(cart::show).delete(cart::delete)),
        (E::CartItems, post(cart::add_items)),
        (E::CartItem, put(cart::set_quantity).delete(cart::remove_item)),
        (E::CartMerge, post(merge::merge)),
        (E::Inventory, get(inventory::show)),
        (E::InventoryAdjust, post(inventory::adjust)),
        (E::InventorySet, post(inventory::set)),
        (E::InventoryReservations, get(inventory::list_reservations).post(inventory::reserve)),
        (E::InventoryReservationConfirm, post(inventory::confirm)),
        (E::InventoryReservationRelease, post(inventory::release)),
        (E::InventoryLedger, get(inventory::list_ledger)),
        (E::Payment, get(payment::show)),
        (E::PaymentCapture, post(payment::capture)),
        (E::PaymentVoid, post(payment::void)),
        (E::PaymentHook, post(payment::take_notice)),
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
    ];
    let mut router = Router::new();
    for (endpoint, methods) in routes {
        let methods: MethodRouter<App> = methods.fallback(system::method_not_allowed);
        let rim = RimLayer::new(app.clone(), endpoint);
        router = router.route(endpoint.path(), methods.layer(rim));
    }
    let unmatched = system::not_found.layer(RimLayer::new(app.clone(), E::Unmatched));
    router.fallback_service(any_service(unmatched.with_state(app.clone()))).with_state(app)
}
