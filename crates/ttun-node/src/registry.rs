//! The tunnels of one JavaScript environment (a process's main thread or a worker), so that none outlives it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use ttun_core::Tunnel;

/// Tunnels that are running, by number.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<Tunnels>>);

#[derive(Default)]
struct Tunnels {
    /// The environment is gone: what is opened now has nobody to serve.
    closed: bool,
    next: u64,
    running: HashMap<u64, Arc<Tunnel>>,
}

impl Registry {
    /// The registry of the environment that is running.
    pub(crate) fn of(env: Env) -> Result<Self> {
        Ok(env.get_instance_data::<Self>()?.cloned().unwrap_or_default())
    }

    /// Keeps `tunnel` until it ends. Returns false, and closes it, when the environment is already gone.
    pub(crate) fn keep(&self, tunnel: &Arc<Tunnel>) -> bool {
        let mut tunnels = self.lock();
        if tunnels.closed {
            tunnel.request_close();
            return false;
        }
        let number = tunnels.next;
        tunnels.next += 1;
        tunnels.running.insert(number, Arc::clone(tunnel));
        drop(tunnels);
        let registry = self.clone();
        // Dropping the last handle of a tunnel waits for its thread; here that is the thread itself, so that
        // JavaScript's garbage collector never waits.
        tunnel.on_end(move |_| {
            let ended = registry.lock().running.remove(&number);
            drop(ended);
        });
        true
    }

    /// Closes all of them and waits for it; none can be kept from then on.
    fn close(&self) {
        let mut tunnels = self.lock();
        tunnels.closed = true;
        let running: Vec<_> = tunnels.running.drain().map(|(_, tunnel)| tunnel).collect();
        drop(tunnels);
        for tunnel in &running {
            tunnel.request_close();
        }
        for tunnel in running {
            let _ = tunnel.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tunnels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes all tunnels of this thread's environment and returns when the system is as it was before them. For the end of the
/// environment: no tunnel can be opened any more. Where `process.exit` ends the main thread, no cleanup hook runs.
#[napi(catch_unwind)]
pub fn close_tunnels(env: Env) -> Result<()> {
    Registry::of(env)?.close();
    Ok(())
}

/// Runs once for each environment that loads this library.
#[napi(module_exports)]
pub fn init(_exports: Object<'_>, env: Env) -> Result<()> {
    let registry = Registry::default();
    env.set_instance_data(registry.clone(), (), |_| {})?;
    env.add_env_cleanup_hook(registry, |registry| registry.close())?;
    Ok(())
}
