//! The search for the path MTU on a path whose routers are quiet.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::sleep;

use super::packet::{reply_to, with_df};
use super::site::{Site, running};
use crate::io::DatagramSocket;
use crate::path_search;
use crate::probe::Probes;
use crate::{EncapDrop, ProbeOptions};

/// A tunnel with a probe, over a path that carries datagrams of so many bytes.
struct Path {
    site: Site,
    mtu: Cell<usize>,
}

impl Path {
    fn new(mtu: usize) -> Self {
        let mut site = Site::alone();
        site.context.discovers_path_mtu = true;
        let plan =
            ProbeOptions { address: [10, 0, 2, 2].into(), interval: Duration::from_secs(60), len: None };
        site.context.probes = Probes::new(Some(plan));
        site.context.probes.set_source(Some([10, 0, 2, 1].into()));
        Self { site, mtu: Cell::new(mtu) }
    }

    fn found(&self) -> Option<usize> {
        self.site.context.path_mtu(self.site.socket.path_mtu())
    }

    /// Runs the search, and the host at the other end, until `test` is done.
    fn run(&self, test: impl Future<Output = ()>) {
        let Self { site, mtu } = self;
        let answer = async {
            loop {
                let arrived = site.socket.sent().into_iter().filter(|packet| packet.len() + 28 <= mtu.get());
                let requests = arrived.filter(|packet| packet[9] == 1);
                site.socket.arrive(&requests.map(|request| reply_to(&request)).collect::<Vec<_>>());
                sleep(Duration::from_millis(1)).await;
            }
        };
        let [ended] = running([site], async {
            tokio::select! {
                () = path_search::run(&site.context, &site.socket) => {}
                () = answer => {}
                () = test => {}
            }
        });
        assert!(ended.is_ok());
    }

    /// Sends full packets until the path MTU is `mtu`.
    async fn send_until(&self, mtu: usize) {
        while self.found() != Some(mtu) {
            self.site.device.hand_over(&[with_df(1472)]);
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[test]
fn a_path_that_becomes_narrower_and_wider_again_is_followed() {
    let path = Path::new(1500);
    path.run(async {
        for mtu in [1500, 1401, 999, 1500] {
            path.mtu.set(mtu);
            path.send_until(mtu).await;
        }
    });
    assert!(path.site.encap_drops(EncapDrop::TooBig) > 0);
    assert!(!path.site.device.answers().is_empty());
}

#[test]
fn a_wrong_report_of_a_router_does_not_last() {
    let path = Path::new(1500);
    path.run(async {
        while path.site.context.probes.stats(0.0).measurements == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        path.site.socket.set_path_mtu(Some(600));
        assert_eq!(path.found(), Some(600));
        path.send_until(1500).await;
    });
}

#[test]
fn a_path_that_is_too_narrow_from_the_start_is_noticed_without_packets() {
    let path = Path::new(1280);
    path.run(async {
        while path.found() != Some(1280) {
            sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn a_peer_that_answers_nothing_changes_nothing() {
    let path = Path::new(0);
    path.run(async {
        for _ in 0..100 {
            path.site.device.hand_over(&[with_df(1472)]);
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(path.found(), Some(1500));
}
