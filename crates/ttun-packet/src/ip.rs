//! What IP headers say, shared by all modules.
