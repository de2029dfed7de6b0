//! Objects as data structures: classes, arrays, strings, builders, byte buffers, vectors, maps, boxed numbers.
//!
//! Every operation is either one step (touch all, then change; named so) or a sequence of steps each of which leaves a
//! valid object, so that it is simply called again after its attempt ended. Nothing here knows threads or registers: the
//! natives of the interpreter call these functions and write the results.
//!
//! ```text
//!   class    class objects, the class table, built-in classes     array    arrays and byte buffers of any size
//!   string   text, hash, builders                                 vector   lists that grow
//!   map      insertion-ordered hash tables
//! ```

pub mod array;
pub mod class;
pub mod map;
pub mod string;
pub mod vector;
