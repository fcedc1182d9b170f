# Here paver is at the jumpbox's own station, and its site is the one that was brought here.
if [ -r /var/lib/paver/site/site.yml ]; then
	export PAVER_SITE=/var/lib/paver/site/site.yml PAVER_STATION=jumpbox
fi
