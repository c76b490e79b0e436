//! What keeps a running tunnel from working as it should, for those who ask.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// The latest problem that has not gone since.
#[derive(Default)]
pub(crate) struct Problem(Mutex<Option<Error>>);

impl Problem {
    pub(crate) fn get(&self) -> Option<Error> {
        self.lock().clone()
    }

    pub(crate) fn set(&self, error: Error) {
        *self.lock() = Some(error);
    }

    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
