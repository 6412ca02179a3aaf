//! Two versions of the program in one cluster of real processes.

use cluster::placement::member::Levels;

use crate::fleet::{Fleet, Shop, Version};
use crate::server::{Server, deadline};

/// Orders through one server after the other until so many more are taken.
async fn shop_on(fleet: &Fleet, shop: &mut Shop, more: usize) {
    let goal = shop.len() + more;
    let end = deadline();
    let mut clients: Vec<_> = (0..fleet.servers.len()).map(|nth| fleet.client(nth)).collect();
    while shop.len() < goal {
        for client in &mut clients {
            shop.order(client).await;
        }
        assert!(storage::clock::monotonic() < end, "only {} of {goal} orders", shop.len());
    }
}

/// Restarts a server as another version while the others go on taking orders.
async fn change(fleet: &mut Fleet, nth: usize, version: Version, shop: &mut Shop) {
    let mut clients: Vec<_> =
        (0..fleet.servers.len()).filter(|other| *other != nth).map(|n| fleet.client(n)).collect();
    let server = fleet.servers[nth].take().expect("it runs");
    let setup = fleet.setup(nth, version);
    let restarted = tokio::task::spawn_blocking(move || {
        assert_eq!(server.terminate().code(), Some(0));
        Server::start(&setup)
    });
    let mut taken = 0;
    while !restarted.is_finished() {
        for client in &mut clients {
            taken += usize::from(shop.order(client).await);
        }
    }
    fleet.servers[nth] = Some(restarted.await.expect("it starts"));
    assert!(taken > 0, "no order was taken meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_upgrade_a_rollback_and_the_upgrade_again_lose_no_order() {
    let Some(_) = crate::server::next_version() else { return };
    let mut fleet = Fleet::start(3);
    fleet.is_spread().await;
    let mut shop = Shop::default();
    shop_on(&fleet, &mut shop, 10).await;
    for nth in [0, 1] {
        change(&mut fleet, nth, Version::Next, &mut shop).await;
    }
    shop_on(&fleet, &mut shop, 10).await;
    // One of three is still old: there is a way back.
    for nth in [1, 0] {
        change(&mut fleet, nth, Version::Current, &mut shop).await;
    }
    shop_on(&fleet, &mut shop, 10).await;
    for nth in [0, 1, 2] {
        let raised = fleet.metric(nth, "omnicart_cluster_level").await;
        assert_eq!(raised, Some(u64::from(Levels::OWN.highest)));
    }
    for nth in [0, 1, 2] {
        change(&mut fleet, nth, Version::Next, &mut shop).await;
    }
    let end = deadline();
    let next = Some(u64::from(Levels::OWN.highest) + 1);
    for nth in [0, 1, 2] {
        while fleet.metric(nth, "omnicart_cluster_level").await != next {
            assert!(storage::clock::monotonic() < end, "the level does not rise");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    shop_on(&fleet, &mut shop, 10).await;
    for nth in [0, 1, 2] {
        shop.check(&mut fleet.client(nth)).await;
    }
    // The folder is of the new level by now.
    fleet.stop(2);
    let failed = fleet.setup(2, Version::Current).fails();
    assert_eq!(failed.code, Some(14), "{}", failed.message());
    assert!(failed.message().contains("start the newer program"), "{}", failed.message());
}
