//! The mesh on real sockets of this machine, on ports the kernel chooses.

mod authority;
mod calls;
mod flow;
mod links;
mod nodes;
mod security;
