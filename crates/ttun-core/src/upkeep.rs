//! Upkeep of a running tunnel's device: lost settings are applied again, an automatic MTU follows the route to the peer, and a
//! rename or a move to another network namespace is noticed.

use std::fmt::Write;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::allowance::Allowance;
use crate::connection::SharedSocket;
use crate::device::{self, TunDevice};
use crate::error::{Error, ErrorKind};
use crate::history::{Change, ChangeKind};
use crate::interface::{Extent, Interface};
use crate::lock::lock;
use crate::shared::{Context, Trouble};
use crate::socket::PeerSocket;
use crate::watcher::{LONGEST_RETRY_DELAY, retry_delay};

/// The state of the device as last seen. The watcher's thread reviews it, in the tunnel's network namespace.
#[derive(Default)]
pub(crate) struct Upkeep {
    attached: Mutex<Weak<TunDevice>>,
    /// Locked while the device or the socket is used, so that both are closed when the tunnel has ended.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether it is in another network namespace.
    elsewhere: bool,
    /// When to review it even without a notice.
    again: Option<Instant>,
    /// The delay after the next failure to restore a setting.
    delay: Option<Duration>,
    /// So that ttun and a program that keeps removing settings do not keep each other busy.
    allowance: Allowance,
    /// The largest packet that fits the route, to which the MTU of the device was last adapted.
    inner_mtu: Option<usize>,
    /// Changes to be recorded.
    changes: Vec<Change>,
}

impl Upkeep {
    /// Called when a device has been attached, also in place of a deleted one.
    pub(crate) fn attached(&self, device: &Arc<TunDevice>) {
        *lock(&self.attached) = Arc::downgrade(device);
        let mut state = lock(&self.state);
        *state = State { allowance: std::mem::take(&mut state.allowance), ..State::default() };
    }

    /// Returns when no other thread uses the device or the socket.
    pub(crate) fn await_use(&self) {
        drop(lock(&self.state));
    }

    /// Compares the device with its configuration.
    pub(crate) fn review(&self, interface: Option<&Interface>, context: &Context, socket: &SharedSocket) {
        self.locked(context, |state| {
            let Some(socket) = socket.get() else { return };
            state.again = None;
            if !self.find(state, interface, context, &socket) {
                return;
            }
            let Some(interface) = interface else { return };
            state.follow_route(interface, context, || fresh_inner_mtu(&socket, context));
            if interface.restores() {
                state.restore(interface, context);
            }
        });
    }

    /// Called once a second. Reviews the device if a retry is due, or if the packet path has noticed another MTU of the route.
    pub(crate) fn tick(&self, interface: Option<&Interface>, context: &Context, socket: &SharedSocket) {
        let state = lock(&self.state);
        let is_due = state.again.is_some_and(|at| at <= Instant::now());
        let learned = context.path_mtu_learned.load(Ordering::Relaxed);
        let follows = interface.is_some_and(Interface::follows_route);
        let learned = (learned != 0).then(|| context.inner_mtu(learned));
        let has_changed =
            follows && learned.is_some() && state.inner_mtu.is_some() && learned != state.inner_mtu;
        drop(state);
        if is_due || has_changed {
            self.review(interface, context, socket);
        }
    }

    /// Applies all lost settings again, on request. Returns them, in words.
    pub(crate) fn reconcile(
        &self,
        interface: Option<&Interface>,
        context: &Context,
        socket: &SharedSocket,
    ) -> Result<Vec<String>, Error> {
        self.locked(context, |state| {
            let (Some(interface), Some(socket)) = (interface, socket.get()) else {
                return Ok(Vec::new());
            };
            if !self.find(state, Some(interface), context, &socket) {
                return Ok(Vec::new());
            }
            state.follow_route(interface, context, || fresh_inner_mtu(&socket, context));
            let (restored, failed) = interface.restore(Extent::All);
            state.restored(context, &restored);
            report(context, Trouble::Settings, failed.clone());
            failed.map_or(Ok(restored), Err)
        })
    }

    /// The largest packet that fits the route to the peer is `inner_mtu` now.
    pub(crate) fn follow_route(&self, interface: &Interface, context: &Context, inner_mtu: Option<usize>) {
        self.locked(context, |state| state.follow_route(interface, context, || inner_mtu));
    }

    /// Runs `action`, and records the changes that it finds once the state is unlocked: the listener may call the tunnel.
    fn locked<R>(&self, context: &Context, action: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let result = action(&mut state);
        let changes = std::mem::take(&mut state.changes);
        drop(state);
        for change in changes {
            context.history.record(change);
        }
        result
    }

    /// Looks up the current name and network namespace of the device. Returns whether it is in this namespace.
    fn find(
        &self,
        state: &mut State,
        interface: Option<&Interface>,
        context: &Context,
        socket: &PeerSocket,
    ) -> bool {
        let facts = &context.device_facts;
        let attached = lock(&self.attached);
        let (Some(device), Some((index, offload))) = (attached.upgrade(), facts.get()) else { return false };
        // The packet path notices the deletion of a device itself.
        let Ok(name) = device::name(device.as_fd()) else { return false };
        let named =
            |name: &str| device::interface(socket.as_fd(), index).is_ok_and(|(found, _)| found == name);
        // It may be renamed between the two queries.
        let is_here = named(&name) || device::name(device.as_fd()).is_ok_and(|name| named(&name));
        let index = if is_here { Some(index) } else { index_here(&device) };
        drop(device);
        drop(attached);
        if let Some(previous) = facts.rename(&name) {
            let message = format!("the device {previous} was renamed to {name}");
            state.changes.push(change(ChangeKind::DeviceRenamed, message, &name, Some(previous)));
        }
        let was_elsewhere = std::mem::replace(&mut state.elsewhere, index.is_none());
        if let Some(interface) = interface
            && was_elsewhere != state.elsewhere
        {
            interface.located(index);
        }
        match index {
            None if was_elsewhere => {}
            None => {
                let message = format!("the device {name} was moved to another network namespace");
                let settings = interface.filter(|interface| interface.restores()).map(|_| {
                    Error::new(ErrorKind::DeviceGone, format!("{message} and lost its settings"))
                        .with_hint("move it back, or configure it there and set interface.restore = false")
                });
                report(context, Trouble::Settings, settings);
                state.changes.push(change(ChangeKind::DeviceMoved, message, &name, None));
            }
            Some(index) => {
                if was_elsewhere {
                    facts.attached(index, offload);
                    context.problems.clear(Trouble::Settings);
                    let message = format!("the device {name} is back in this network namespace");
                    state.changes.push(change(ChangeKind::DeviceBack, message, &name, None));
                }
            }
        }
        index.is_some()
    }
}

impl State {
    /// Adapts an automatic MTU of the device to the route to the peer.
    fn follow_route(
        &mut self,
        interface: &Interface,
        context: &Context,
        inner_mtu: impl FnOnce() -> Option<usize>,
    ) {
        if !interface.follows_route() {
            return;
        }
        let inner_mtu = inner_mtu();
        self.inner_mtu = inner_mtu.or(self.inner_mtu);
        match interface.follow_route(inner_mtu) {
            Ok(None) => context.problems.clear(Trouble::Mtu),
            Ok(Some(mtu)) => {
                context.problems.clear(Trouble::Mtu);
                let name = context.device_facts.name();
                let message =
                    format!("the MTU of {name} is now {mtu}, because the route to the peer changed");
                self.changes.push(change(ChangeKind::MtuChanged, message, &name, None));
            }
            Err(error) => {
                self.again = Some(Instant::now() + LONGEST_RETRY_DELAY);
                context.problems.set(Trouble::Mtu, error);
            }
        }
    }

    /// Applies lost settings again.
    fn restore(&mut self, interface: &Interface, context: &Context) {
        let now = Instant::now();
        if let Some(later) = self.allowance.exhausted_until(now) {
            self.again = Some(later);
            return;
        }
        let (restored, failed) = interface.restore(Extent::WhileUp);
        if !restored.is_empty() {
            self.allowance.use_at(now);
        }
        self.restored(context, &restored);
        self.delay = failed.as_ref().map(|_| {
            let delay = retry_delay(self.delay);
            self.again = Some(now + delay);
            delay
        });
        report(context, Trouble::Settings, failed);
    }

    fn restored(&mut self, context: &Context, settings: &[String]) {
        if !settings.is_empty() {
            self.changes.push(restored_change(&context.device_facts.name(), settings));
        }
    }
}

/// The largest packet that fits the route that the next datagram takes.
fn fresh_inner_mtu(socket: &PeerSocket, context: &Context) -> Option<usize> {
    let path_mtu = context.path_mtu(socket.fresh_path_mtu(&context.endpoints));
    path_mtu.map(|mtu| context.inner_mtu(mtu))
}

/// The index of the device in this thread's network namespace, if it is there.
fn index_here(device: &TunDevice) -> Option<u32> {
    let name = device::name_here(device)?;
    ttun_link::find(&name).ok().flatten().map(|link| link.index)
}

fn report(context: &Context, trouble: Trouble, problem: Option<Error>) {
    match problem {
        Some(error) => context.problems.set(trouble, error),
        None => context.problems.clear(trouble),
    }
}

fn change(kind: ChangeKind, message: String, device: &str, previous: Option<String>) -> Change {
    Change { device: Some(device.to_owned()), previous, ..Change::new(kind, message) }
}

fn restored_change(device: &str, restored: &[String]) -> Change {
    /// Of thousands of routes, only the first few are worth reading.
    const LISTED: usize = 8;
    let (listed, others) = restored.split_at(restored.len().min(LISTED));
    let mut message = format!("restored on {device}: {}", listed.join(", "));
    if !others.is_empty() {
        let _ = write!(message, " and {} more", others.len());
    }
    change(ChangeKind::DeviceRestored, message, device, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_many_restored_settings_are_listed() {
        let settings: Vec<_> = (0..20).map(|number| format!("route 10.9.{number}.0/24")).collect();
        assert_eq!(
            restored_change("tun0", &settings[..2]).message,
            "restored on tun0: route 10.9.0.0/24, route 10.9.1.0/24"
        );
        assert!(restored_change("tun0", &settings).message.ends_with("route 10.9.7.0/24 and 12 more"));
    }
}
