"""Phase `site-services`: DNS and time, served by the jumpbox or by others, and proven before anything needs them."""
