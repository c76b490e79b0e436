//! Waiting for a real descriptor: readiness comes after `WouldBlock`, and not before.

use std::io;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::io::{News, Readiness};

/// Nothing between two sockets of one process takes as long.
const LIMIT: Duration = Duration::from_secs(10);

fn pair() -> (Readiness<UnixDatagram>, UnixDatagram) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (Readiness::new(ours).unwrap(), theirs)
}

fn running<T>(scenario: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, scenario).await }).expect("readiness never came")
}

async fn received(ours: &Readiness<UnixDatagram>) -> Vec<u8> {
    let mut buffer = [0; 100];
    loop {
        match ours.try_read(|socket| socket.recv(&mut buffer)) {
            Ok(len) => return buffer[..len].to_vec(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ours.readable().await.unwrap(),
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn packets_that_arrived_before_the_first_wait_are_read() {
    running(async {
        let (ours, theirs) = pair();
        theirs.send(b"early").unwrap();
        assert_eq!(received(&ours).await, b"early");
    });
}

#[test]
fn packets_that_arrive_between_would_block_and_the_wait_are_not_missed() {
    running(async {
        let (ours, theirs) = pair();
        for round in 0..100 {
            assert!(ours.try_read(|socket| socket.recv(&mut [0; 100])).is_err());
            theirs.send(&[round]).unwrap();
            assert_eq!(received(&ours).await, [round]);
        }
    });
}

#[test]
fn reading_goes_on_without_waiting_until_nothing_is_left() {
    running(async {
        let (ours, theirs) = pair();
        theirs.send(b"first").unwrap();
        assert_eq!(received(&ours).await, b"first");
        assert!(ours.try_read(|socket| socket.recv(&mut [0; 100])).is_err());
        theirs.send(b"second").unwrap();
        theirs.send(b"third").unwrap();
        assert_eq!(received(&ours).await, b"second");
        assert_eq!(ours.try_read(|socket| socket.recv(&mut [0; 100])).unwrap(), 5);
    });
}

#[test]
fn room_to_write_is_waited_for_again_and_again() {
    running(async {
        let (ours, theirs) = pair();
        for _ in 0..10 {
            while ours.get().send(&[0; 1000]).is_ok() {}
            let making_room = async {
                tokio::task::yield_now().await;
                while theirs.recv(&mut [0; 1000]).is_ok() {}
            };
            let (ready, ()) = tokio::join!(ours.writable(), making_room);
            ready.unwrap();
            assert!(ours.get().send(&[0; 1000]).is_ok());
        }
    });
}

#[test]
fn a_registration_that_is_kept_reports_room_once_for_each_time_that_some_is_made() {
    running(async {
        let (ours, theirs) = pair();
        let writable = ours.watch_writable().unwrap().unwrap();
        for _ in 0..10 {
            while ours.get().send(&[0; 1000]).is_ok() {}
            // There was room before.
            writable.news();
            assert_eq!(writable.news(), News::None);
            let making_room = async {
                tokio::task::yield_now().await;
                while theirs.recv(&mut [0; 1000]).is_ok() {}
            };
            let (ready, ()) = tokio::join!(writable.wait(), making_room);
            ready.unwrap();
            assert_eq!((writable.news(), writable.news()), (News::Room, News::None));
            assert!(ours.get().send(&[0; 1000]).is_ok());
        }
    });
}

#[test]
fn an_error_is_reported_to_the_one_who_waits_for_room() {
    running(async {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let ours = UdpSocket::bind(loopback).unwrap();
            ours.set_nonblocking(true).unwrap();
            let closed = UdpSocket::bind(loopback).unwrap().local_addr().unwrap();
            ours.connect(closed).unwrap();
            let ours = Readiness::new(ours).unwrap();
            let writable = ours.watch_writable().unwrap().unwrap();
            ours.get().send(b"The answer is an ICMP error.").unwrap();
            while writable.news() != News::Error {
                writable.wait().await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
}
