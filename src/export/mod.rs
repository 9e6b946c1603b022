//! Mesh to text or picture: one format a file, and the table of them.
