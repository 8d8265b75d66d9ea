//! zoo-dinov2
