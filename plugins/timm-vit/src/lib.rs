//! zoo-timm-vit
