//! zoo-convnext
