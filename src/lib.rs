//! Turns images into 2D triangle meshes for skeletal animation.
pub mod decode;
pub mod export;
pub mod mesh;
